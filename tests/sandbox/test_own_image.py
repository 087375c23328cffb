"""A user's own image: built by our Dockerfile on a base that holds an interpreter, and used in place of the host's.

The base is packed here out of this machine's own interpreter and numpy; its `torch` is an empty module, since the
machinery does not depend on it and the real one has a gigabyte.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from evolve.contracts import Fault, Job
from evolve.errors import SandboxError, UsageError
from sandbox.choose import choose
from sandbox.docker import DockerSandbox
from sandbox.engine import Engine
from tests.sandbox.sandbox_parts import require_engine

pytestmark = pytest.mark.docker
BASE, TAG = "evolve-test-base", "evolve-test-own:latest"
UNUSED = re.compile(r"/(test|tests|idlelib|tkinter|ensurepip|site-packages|__pycache__|lib2to3|config-3.*)(/|$)")


def libraries(program: Path) -> set[Path]:
    """What the loader needs for a program or a library."""
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    return {Path(os.path.normpath(found)) for found in re.findall(r"(/\S+) \(0x", said)}


def packed() -> bytes:
    """A root with a shell, an interpreter and numpy."""
    python, prefix = Path(sys.executable).resolve(), Path(sys.base_prefix)
    standard, packages = prefix / "lib" / f"python3.{sys.version_info.minor}", Path(np.__file__).parents[1]
    programs = [Path("/bin/sh"), Path("/bin/mkdir"), Path("/bin/chmod"), python]
    native = [*programs, *standard.rglob("*.so"), *packages.glob("numpy*/**/*.so*")]
    needed = {library for program in native for library in libraries(program)}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        tar.add(standard, arcname=str(standard), filter=lambda found: None if UNUSED.search(found.name) else found)
        for folder in packages.glob("numpy*"):
            tar.add(folder, arcname=f"{standard}/site-packages/{folder.name}")
        for file in {*programs, *needed, prefix / "bin" / "python3"}:
            if str(file).lstrip("/") not in tar.getnames() and packages not in file.parents:
                tar.add(file, arcname=str(file))
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, str(prefix / "bin" / "python3")
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo(f"{standard}/site-packages/torch.py"), io.BytesIO())
    return archive.getvalue()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image, built once and removed again."""
    require_engine()
    engine = Engine()
    with closing(engine.client(120.0)) as client:
        client.import_image_from_data(packed(), repository=BASE, tag="latest")
        list(engine.build(f"{BASE}:latest", TAG))
        yield TAG
        for name in (TAG, f"{BASE}:latest"):
            client.remove_image(name, force=True)


def test_candidates_run_in_an_image_of_one_s_own(image: str, job: Callable[..., Job]) -> None:
    """Its digest is in the evidence, and nothing of the host but the data and the worker is bound into it."""
    with closing(DockerSandbox(image=image, warm_torch=False)) as box:
        with box.open(job()) as session:
            assert session.train(4, 20.0) == {"steps": 4.0, "seed": 3.0}
            evidence = session.close()
        assert evidence.versions["image"] == Engine().require_image(image)


def test_an_image_that_is_not_there_says_what_to_do() -> None:
    """Before anything runs."""
    require_engine()
    with pytest.raises(SandboxError, match="evolve sandbox build"):
        choose("docker", image="evolve-no-such-image")


def test_a_base_that_cannot_be_built_on_says_why() -> None:
    """The engine's own words, and what a base needs."""
    require_engine()
    with pytest.raises(SandboxError, match="Python 3"):
        list(Engine().build("evolve-no-such-base", TAG))


def test_an_image_is_for_docker_alone() -> None:
    """Other sandboxes have no images."""
    with pytest.raises(UsageError, match="--image"):
        choose("landlock", image="evolve-test-own")


def test_a_runtime_by_its_name(job: Callable[..., Job]) -> None:
    """The engine's own serves; one that it has not is our error, not the candidate's."""
    require_engine()
    with closing(choose("docker", runtime="runc", warm_torch=False)) as box, box.open(job()) as session:
        assert not isinstance(session.train(1, 20.0), Fault)
    with closing(choose("docker", runtime="no-such-runtime", warm_torch=False)) as box, pytest.raises(SandboxError):
        box.open(job())
