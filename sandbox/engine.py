"""A Docker-compatible engine: reaching it, the image, what a container may see and do, what was left behind.

Knows no frames and no candidates. Everything that goes wrong here is the engine's or ours: SandboxError.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import sys
import tarfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.contracts import Limits
from evolve.errors import SandboxError
from sandbox import owner
from sandbox.inside import (
    CARGO,
    CARGO_FILES,
    NOBODY,
    PYTHON_FLAGS,
    SCRATCH_BYTES,
    SCRATCH_FILES,
    environment,
    readable,
    require_readable,
)

IMAGE = "evolve-sandbox"
OWNER_LABEL = "evolve.sandbox.owner"
USER = f"{NOBODY}:{NOBODY}"
DATA = "/data"
CALL_TIMEOUT_S = 20.0
BUILD_TIMEOUT_S = 1800.0
BUILD_HINT = "The base needs Python 3.11 or newer with torch and numpy, or pip and a network to install them."
PROBE_TIMEOUT_S = 2.0
GPU_RIGHTS = ["gpu", "compute", "utility"]
_STANDARD_SOCKET = "unix:///var/run/docker.sock"
_HINT = "Start the engine (see `evolve doctor`), or run with `--sandbox local`."


@contextlib.contextmanager
def engine_trouble(doing: str) -> Generator[None, None, None]:
    """Turns whatever the engine raises into a SandboxError that says what was being done."""
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        found = getattr(error, "explanation", None) or error
        raise SandboxError(f"expected the container engine to {doing}, found: {found}", hint=_HINT) from error


class Engine:
    """One engine. Clients are not shared between threads: each caller asks for its own.

    Args:
        url: where it listens; None takes `DOCKER_HOST` or the standard socket.
        timeout_s: how long it may take for its first answer.

    Raises:
        SandboxError: nothing answers there.
    """

    def __init__(self, url: str | None = None, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        import docker.utils

        with engine_trouble("answer"):
            self._arguments: dict[str, Any] = {"base_url": url} if url else dict(docker.utils.kwargs_from_env())
            self._version = "auto"
            _require_listener(str(self._arguments.get("base_url") or _STANDARD_SOCKET), timeout_s)
            with contextlib.closing(self.client(timeout_s)) as client:
                self._version = str(client.api_version)
                self.versions: Mapping[str, Any] = client.version()

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman that speaks Docker's language."""
        return any("podman" in str(part.get("Name", "")).lower() for part in self.versions.get("Components") or ())

    def client(self, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """A low-level client of the caller's own; to be closed by it."""
        import docker

        open_client: Any = docker.APIClient  # its stubs want whole seconds, urllib3 does not
        return open_client(**self._arguments, version=self._version, timeout=timeout_s)

    def cgroup_version(self, timeout_s: float = CALL_TIMEOUT_S) -> str:
        """`1` or `2`, as the engine says; engines before 20.10 say nothing and have 1."""
        with engine_trouble("describe itself"), contextlib.closing(self.client(timeout_s)) as client:
            return str(client.info().get("CgroupVersion", "1"))

    def ensure_image(self) -> str:
        """Imports the image of empty mount points where it is not there yet; returns its digest.

        Takes 0.05 s and no registry; the name is the content's own hash (Podman's import keeps no tag).
        """
        import docker.errors

        content = _mount_points()
        name = f"{IMAGE}-{hashlib.sha256(content).hexdigest()[:12]}"
        with engine_trouble("import an image"), contextlib.closing(self.client()) as client:
            with contextlib.suppress(docker.errors.ImageNotFound):
                return str(client.inspect_image(f"{name}:latest")["Id"])
            client.import_image_from_data(content, repository=name, tag="latest")
            return str(client.inspect_image(f"{name}:latest")["Id"])

    def require_image(self, name: str) -> str:
        """The digest of a user's own image. Raises SandboxError where the engine has none of that name."""
        doing = f"find the image `{name}` (evolve sandbox build makes one)"
        with engine_trouble(doing), contextlib.closing(self.client()) as client:
            return str(client.inspect_image(name)["Id"])

    def build(self, base: str, tag: str) -> Iterator[str]:
        """Builds `sandbox/Dockerfile` on `base`; yields what the engine says. Raises SandboxError where it fails."""
        with engine_trouble("build an image"), contextlib.closing(self.client(BUILD_TIMEOUT_S)) as client:
            said = client.build(path=str(CARGO), tag=tag, buildargs={"BASE": base}, rm=True, decode=True, pull=False)
            for line in said:
                if "error" in line:
                    raise SandboxError(f"expected to build {tag} on {base}, found: {line['error']}", hint=BUILD_HINT)
                yield str(line.get("stream", ""))

    def sweep(self) -> int:
        """Removes the containers of orchestrators that are dead; returns how many."""
        import docker.errors

        removed = 0
        with engine_trouble("list containers"), contextlib.closing(self.client()) as client:
            for container in client.containers(all=True, filters={"label": OWNER_LABEL}):
                maker = owner.read(container["Labels"].get(OWNER_LABEL, ""))
                if maker is None or not maker.is_dead():
                    continue
                with contextlib.suppress(docker.errors.NotFound):  # another sweep was quicker
                    client.remove_container(container["Id"], force=True, v=True)
                    removed += 1
        return removed


def _require_listener(url: str, timeout_s: float) -> None:
    """A plain connection first: the SDK leaks a socket for each address where nobody listens."""
    if not url.startswith("unix://"):
        return
    path = "/" + url.removeprefix("unix://").lstrip("/")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(path)
        except OSError as error:
            raise SandboxError(
                f"expected a container engine at {path}, found: {error.strerror or error}", hint=_HINT
            ) from error


def _mount_points() -> bytes:
    """A tar archive of empty folders, and the links through which a loader finds the libraries."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "opt", "sb", DATA.lstrip("/")):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for name in ("bin", "lib", "lib64"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(link)
    return archive.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What differs from container to container. `options` are the worker's; `cpu_shares` its weight among busy ones."""

    image: str
    limits: Limits
    data: Path
    options: Mapping[str, object]
    cpu_shares: int
    is_podman: bool = False
    own_interpreter: bool = False
    """Whether the image has an interpreter, so that this machine's is not bound into it."""
    runtime: str = ""
    tools: bool = False
    """Whether this machine's compiler is bound into it; an image of one's own has its own or none."""
    gpu: str = ""
    """The one accelerator that it may see; empty is none."""


def container_config(client: Any, recipe: Recipe) -> Any:
    """Everything that a candidate's container is given; what is not here it has not."""
    from docker.types import DeviceRequest, LogConfig, Ulimit

    limits = recipe.limits
    memory = limits.memory_bytes
    inodes = "" if recipe.is_podman else f",nr_inodes={SCRATCH_FILES}"  # Podman knows no such option
    host = client.create_host_config(
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        mem_limit=memory,
        memswap_limit=memory,
        pids_limit=limits.processes,
        nano_cpus=1_000_000_000,
        cpu_shares=recipe.cpu_shares,
        init=True,
        ipc_mode="private",
        shm_size=SCRATCH_BYTES,
        tmpfs={"/tmp": f"rw,nosuid,nodev,noexec,size={SCRATCH_BYTES},mode=1777{inodes}"},  # noqa: S108
        log_config=LogConfig(type="none"),
        runtime=recipe.runtime or None,
        device_requests=[DeviceRequest(device_ids=[recipe.gpu], capabilities=[GPU_RIGHTS])] if recipe.gpu else None,
        mounts=mounts(recipe.data, {} if recipe.own_interpreter else readable(tools=recipe.tools)),
        ulimits=[
            Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
            # Podman's own default exceeds the hard limit of some machines.
            Ulimit(name="nproc", soft=limits.processes * 64, hard=limits.processes * 64),
            Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="cpu", soft=limits.cpu_s, hard=limits.cpu_s + 1),
        ],
    )
    return client.create_container_config(
        image=recipe.image,
        command=[
            "python3" if recipe.own_interpreter else sys.executable,
            *PYTHON_FLAGS,
            "/sb/worker.py",
            json.dumps(dict(recipe.options)),
        ],
        user=USER,
        working_dir="/tmp",  # noqa: S108
        environment=environment("/tmp"),  # noqa: S108
        labels={OWNER_LABEL: str(owner.this_process())},
        stdin_open=True,
        # Beside network_mode none: there is then nothing to set up in the new network namespace, and Docker does not
        # start itself once more for it, which takes .08 CPU seconds.
        network_disabled=True,
        host_config=host,
    )


def mounts(data: Path, host: Mapping[str, str]) -> list[Any]:
    """Read-only binds: the interpreter and its packages, the system's libraries, the worker, the data.

    Raises SandboxError where the container's user, who is nobody, could not read one of them.
    """
    from docker.types import Mount

    binds = dict(host)
    for name in CARGO_FILES:
        binds[f"/sb/{name}"] = str(CARGO / name)
    binds[DATA] = str(data.resolve())
    require_readable([Path(source) for target, source in binds.items() if target.startswith(("/sb", DATA))])
    return [Mount(target=target, source=source, type="bind", read_only=True) for target, source in binds.items()]
