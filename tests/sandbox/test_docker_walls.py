"""What a container keeps from a candidate: each line is one thing tried from inside."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sandbox_cases import runner

from evolve.contracts import Fault, Job
from tests.sandbox.sandbox_parts import require_engine

if TYPE_CHECKING:
    from sandbox.docker import DockerSandbox

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[2]

REFUSED = {
    "an internet socket": "import socket; socket.socket().connect(('127.0.0.1', 22))",
    "a VM socket": "import socket; socket.socket(40, 1)",
    "a netlink socket": "import socket; socket.socket(16, 3)",
    "a raw socket": "import socket; socket.socket(17, 3)",
    "the engine's socket": "import socket; socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
    "an io_uring": "call(425, 8, 0)",
    "tracing": "call(101, 0, 0)",
    "a new namespace": "call(272, 0x10000000)",
    "a mount": "call(165, 0, 0, 0, 0, 0)",
    "a kernel program": "call(321, 0, 0, 0)",
    "the host's passwords": "open('/etc/shadow')",
    "the checkout": "os.listdir({root!r} + '/evaluations')",
    "the kernel's memory": "open('/proc/kcore', 'rb').read(1)",
    "a write to the data": "open(DATA / 'scores.npy', 'ab')",
    "a change of the data's rights": "os.chmod(DATA / 'scores.npy', 0o777)",
    "a write to the interpreter": "open(os.__file__, 'ab')",
    "a write to the root": "open('/etc/mine', 'w')",
    "root's rights": "os.setuid(0)",
    "a device": "os.mknod('/tmp/device', 0o60666, 0x801)",
    "running a file of its own": (
        "open('/tmp/own', 'w').write('#!' + sys.executable); os.chmod('/tmp/own', 0o755); os.execv('/tmp/own', ['own'])"
    ),
    "filling the scratch": "f = [open(f'/tmp/{{i}}', 'wb').write(b'x' * (7 << 20)) for i in range(12)]",
}

TOP = """
import ctypes
from pathlib import Path
DATA = Path('/data')
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        assert ctypes.get_errno() == 1, f'let through, error {ctypes.get_errno()}'
        raise OSError('refused')
"""


@pytest.fixture(scope="module")
def docker_sandbox() -> Iterator[DockerSandbox]:
    """One sandbox for all attempts."""
    require_engine()
    from sandbox.docker import DockerSandbox

    with closing(DockerSandbox(warm_torch=False)) as sandbox:
        yield sandbox


@pytest.mark.parametrize("name", REFUSED)
def test_a_candidate_is_refused(docker_sandbox: DockerSandbox, job: Callable[..., Job], name: str) -> None:
    """The attempt raises OSError inside: it neither works nor brings the worker down."""
    attempt = REFUSED[name].format(root=str(ROOT))
    source = runner(
        f"try:\n    {attempt}\nexcept OSError as refusal:\n    return {{'refused': 1}}\nreturn {{}}", top=TOP
    )
    with docker_sandbox.open(job(source)) as session:
        assert session.train(1, 20.0) == {"refused": 1.0}


def test_a_container_has_a_network_of_its_own_with_nothing_in_it(
    docker_sandbox: DockerSandbox, job: Callable[..., Job]
) -> None:
    """Another namespace than the host's, whose only interface is its own loopback."""
    look = (
        "names = [row.split(':')[0].strip() for row in open('/proc/net/dev').readlines()[2:]]\n"
        "return {'others': len(set(names) - {'lo'}), 'space': int(os.readlink('/proc/self/ns/net')[5:-1])}"
    )
    with docker_sandbox.open(job(runner(look))) as session:
        seen = session.train(1, 20.0)
    assert not isinstance(seen, Fault)
    assert seen["others"] == 0
    assert seen["space"] != int(os.readlink("/proc/self/ns/net")[5:-1])


def test_a_container_sees_only_its_own_processes(docker_sandbox: DockerSandbox, job: Callable[..., Job]) -> None:
    """The init, the worker, and nothing of the host's; all of them nobody's."""
    count = "return {'processes': sum(n.isdecimal() for n in os.listdir('/proc')), 'user': os.getuid()}"
    with docker_sandbox.open(job(runner(count))) as session:
        seen = session.train(1, 20.0)
    assert not isinstance(seen, Fault)
    assert seen["processes"] <= 2
    assert seen["user"] == 65534
