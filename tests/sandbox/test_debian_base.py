"""`evolve sandbox build` on a base that has nothing of this machine's: Debian by debootstrap, with real torch.

Takes minutes and a Debian mirror: `make test-all` alone tries it, where debootstrap is installed and the user is root.
`EVOLVE_DEBIAN_ROOT` names a root that was made before (debootstrap --variant=minbase --include=python3 bookworm).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path

import pytest
from sandbox_cases import runner

from evolve.contracts import Job
from sandbox.docker import DockerSandbox
from sandbox.engine import Engine
from tests.sandbox.sandbox_parts import require_engine

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.matrix]
BASE, TAG, SUITE = "evolve-test-debian", "evolve-test-debian-own:latest", "bookworm"
TRAIN = """
import torch, platform
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.Adagrad(model.parameters(), lr=.1)
torch.nn.functional.mse_loss(model(torch.ones(8, 4)), torch.ones(8, 1)).backward()
optimizer.step()
return {"debian": os.path.exists("/etc/debian_version"), "tools": os.path.exists("/usr/bin/dpkg"),
        "step": float(model.weight.sum() != 0)}
"""


def needed(name: str, found: set[str]) -> set[str]:
    """A distribution and all that it needs, by the names of their folders' owners."""
    if name not in found:
        found.add(name)
        for line in metadata.requires(name) or ():
            if "extra ==" not in line and "platform" not in line:
                needed(re.split(r"[^A-Za-z0-9._-]", line)[0], found)
    return found


def install(root: Path) -> None:
    """Torch and numpy with all that they need, copied from here to where Debian's interpreter looks."""
    target = root / "usr/local/lib/python3.11/dist-packages"
    for name in needed("torch", set()) | needed("numpy", set()):
        for file in metadata.files(name) or ():
            source = Path(str(file.locate()))
            if ".." not in file.parts and "__pycache__" not in file.parts and source.is_file():
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target / file)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian, imported and built upon; removed again."""
    require_engine()
    made = os.environ.get("EVOLVE_DEBIAN_ROOT")
    if not made and (shutil.which("debootstrap") is None or os.geteuid() != 0):
        pytest.skip("needs debootstrap and root (Debian: apt-get install debootstrap)")
    root = Path(made) if made else tmp_path_factory.mktemp("debian")
    if not made:
        command = ["debootstrap", "--variant=minbase", "--include=python3", SUITE, str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    install(root)
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", "-", f"{BASE}:latest"], stdin=tar.stdout, check=True, capture_output=True)
    engine = Engine()
    with closing(engine.client(120.0)) as client:
        list(engine.build(f"{BASE}:latest", TAG))
        yield TAG
        for name in (TAG, f"{BASE}:latest"):
            client.remove_image(name, force=True)


def test_a_candidate_trains_with_debian_s_interpreter_and_real_torch(image: str, job: Callable[..., Job]) -> None:
    """The worker imports torch from the image, and nothing of the host's interpreter is there."""
    with closing(DockerSandbox(image=image)) as box, box.open(job(runner(TRAIN), memory_bytes=1 << 30)) as session:
        assert session.train(1, 60.0) == {"debian": 1.0, "tools": 1.0, "step": 1.0}
        evidence = session.close()
    assert evidence.versions["torch"] == metadata.version("torch")
    assert evidence.versions["image"] == Engine().require_image(image)
