"""The small parts: attach streams, control groups, owners, the choice of a sandbox."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.contracts import Limits
from evolve.errors import SandboxError, UsageError
from sandbox import owner
from sandbox.cgroup import Usage, group_of, make_group
from sandbox.choose import choose, probe
from sandbox.guard import remove
from sandbox.guarded import describe_exit
from sandbox.local import LocalSandbox
from sandbox.lockdown import landlock_abi
from sandbox.streams import NOISE_KEPT, AttachedStreams, Noise

PARTS = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50)), max_size=10)


@given(PARTS, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_an_attached_stream_is_sorted_however_it_is_cut(parts: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """Output bytes are answers, error bytes are noise, whatever pieces the socket delivers."""
    ours, theirs = socket.socketpair()
    streams = AttachedStreams(ours)
    raw = b"".join(struct.pack(">BxxxL", kind, len(content)) + content for kind, content in parts)
    position = 0
    while position < len(raw):
        for cut in cuts:
            theirs.sendall(raw[position : position + cut])
            position += cut
            streams.pump(0.0)
    theirs.close()
    while not streams.ended:
        streams.pump(0.1)
    streams.close()
    assert bytes(streams.answers) == b"".join(content for kind, content in parts if kind == 1)
    assert streams.noise.total == sum(len(content) for kind, content in parts if kind == 2)


def test_noise_keeps_its_end() -> None:
    """However much is printed, 64 KB stay."""
    noise = Noise()
    for _ in range(300):
        noise.add(b"x" * 1000)
    noise.add(b"\x1b[2Jend")
    assert noise.total == 300_007
    assert len(noise.tail()) == NOISE_KEPT
    assert noise.tail().endswith("x?[2Jend")


def recorded(root: Path, files: dict[str, str]) -> Path:
    """A recorded tree of /proc and /sys files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_usage_is_read_from_version_1(tmp_path: Path) -> None:
    """Each controller has a tree of its own; CPU time is in nanoseconds."""
    recorded(tmp_path, {
        "proc/7/cgroup": "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/abc\n",
        "sys/cpu,cpuacct/docker/abc/cpuacct.usage": "1500000000\n",
        "sys/memory/docker/abc/memory.max_usage_in_bytes": "4096\n",
        "sys/memory/docker/abc/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    })  # fmt: skip
    group = group_of(7, proc=tmp_path / "proc", root=tmp_path / "sys")
    assert group is not None
    assert group.usage() == Usage(cpu_s=1.5, peak_memory_bytes=4096, out_of_memory_kills=2)


def test_usage_is_read_from_version_2(tmp_path: Path) -> None:
    """One tree; where an older kernel has no peak, the current memory stands for it."""
    scope = "sys/system.slice/docker-abc.scope"
    recorded(tmp_path, {
        "proc/7/cgroup": "0::/system.slice/docker-abc.scope\n",
        f"{scope}/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n",
        f"{scope}/memory.current": "8192\n",
        f"{scope}/memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n",
    })  # fmt: skip
    group = group_of(7, proc=tmp_path / "proc", root=tmp_path / "sys")
    assert group is not None
    assert group.usage() == Usage(cpu_s=2.5, peak_memory_bytes=8192, out_of_memory_kills=1)
    recorded(tmp_path, {f"{scope}/memory.peak": "9000\n"})
    usage = group.usage()
    assert usage is not None
    assert usage.peak_memory_bytes == 9000


def test_a_limit_of_memory_is_set_in_either_version(tmp_path: Path) -> None:
    """Whether it holds is read back; a group that is not the one named is left alone."""
    recorded(tmp_path, {
        "proc/7/cgroup": "9:memory:/docker/abc\n0::/docker/abc\n",
        "sys/memory/docker/abc/memory.limit_in_bytes": "9",
        "sys/memory/docker/abc/memory.memsw.limit_in_bytes": "9",
        "sys/docker/abc/memory.max": "max",
        "proc/8/cgroup": "0::/user.slice\n",
    })  # fmt: skip
    group = group_of(7, "abc", proc=tmp_path / "proc", root=tmp_path / "sys")
    assert group is not None
    assert group.limit_memory(4096)
    assert {path.read_text() for path in (tmp_path / "sys").rglob("memory.*")} == {"4096"}
    assert group_of(8, "abc", proc=tmp_path / "proc", root=tmp_path / "sys") is None
    gone = group_of(7, proc=tmp_path / "proc", root=tmp_path / "nowhere")
    assert gone is not None
    assert not gone.limit_memory(4096)


def test_a_share_of_the_cpu_is_set_in_either_version(tmp_path: Path) -> None:
    """Version 2 counts in weights of its own; where no file is ours, the caller is told and asks the engine."""
    recorded(tmp_path, {
        "proc/7/cgroup": "4:cpu,cpuacct:/docker/abc\n",
        "sys/cpu/docker/abc/cpu.shares": "128",
        "proc/8/cgroup": "0::/docker/abc\n",
        "sys/docker/abc/cpu.weight": "5",
    })  # fmt: skip
    for pid, file, held in ((7, "cpu/docker/abc/cpu.shares", "1024"), (8, "docker/abc/cpu.weight", "39")):
        group = group_of(pid, proc=tmp_path / "proc", root=tmp_path / "sys")
        assert group is not None
        assert group.share_cpu(1024)
        assert (tmp_path / "sys" / file).read_text() == held
    gone = group_of(7, proc=tmp_path / "proc", root=tmp_path / "nowhere")
    assert gone is not None
    assert not gone.share_cpu(1024)


def test_a_vanished_group_has_no_usage(tmp_path: Path) -> None:
    """Neither a dead process nor a removed group is an error."""
    assert group_of(7, proc=tmp_path) is None
    recorded(tmp_path, {"proc/7/cgroup": "0::/gone\n"})
    group = group_of(7, proc=tmp_path / "proc", root=tmp_path / "sys")
    assert group is not None
    assert group.usage() is None


def test_an_owner_is_dead_when_its_process_is() -> None:
    """A later process of the same number is another owner; other machines' owners are left alone."""
    me = owner.this_process()
    assert owner.read(str(me)) == me
    assert not me.is_dead()
    assert owner.Owner(machine=me.machine, pid=me.pid, started=me.started + 1).is_dead()
    assert not owner.Owner(machine="other.1", pid=me.pid, started=1).is_dead()
    assert owner.read("nobody") is None
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        start = owner._start_time(process.pid)
        gone = owner.Owner(machine=me.machine, pid=process.pid, started=start)
        assert not gone.is_dead()
        process.communicate(b"\n")
    assert gone.is_dead()


def test_folders_of_dead_orchestrators_are_swept() -> None:
    """Only those: a living orchestrator's folder stays."""
    me = owner.this_process()
    dead = owner.Owner(machine=me.machine, pid=me.pid, started=1)
    old = Path(tempfile.mkdtemp(prefix=f"evolve-sandbox.{dead}."))
    own = Path(tempfile.mkdtemp(prefix=f"evolve-sandbox.{me}."))
    LocalSandbox(warm_torch=False)
    assert (old.exists(), own.exists()) == (False, True)
    own.rmdir()


def test_exits_are_described_in_words() -> None:
    """Codes, signals, and signals without a name."""
    assert describe_exit(3) == "exited with code 3"
    assert describe_exit(-9) == "killed by SIGKILL"
    assert describe_exit(-60) == "killed by signal 60"


def test_an_unknown_sandbox_is_a_usage_error() -> None:
    """It lists the choices."""
    with pytest.raises(UsageError, match="auto, docker, "):
        choose("gvisor")
    with pytest.raises(UsageError, match="at least one worker"):
        choose("local", workers=0)


def test_without_an_engine_auto_takes_the_next_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine at that address and no program at hand: what the kernel has, a clear error, and a probe that helps."""
    nowhere = "unix:///nowhere.sock"
    monkeypatch.setenv("PATH", "")
    chosen = choose("auto", url=nowhere)
    assert chosen.name == ("landlock" if landlock_abi() else "local")
    assert chosen.does_not_stop
    with pytest.raises(SandboxError, match="--sandbox local"):
        choose("docker", url=nowhere)
    found = probe(nowhere)
    assert found["answers"] == "no"
    assert "dockerd" in found["what_to_do"]


def test_a_model_s_answer_never_runs_without_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """`local` is refused for it, by name or as the last link of the chain."""
    with pytest.raises(SandboxError, match="no walls"):
        choose("local", model_answers=True)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sandbox.landlock.landlock_abi", lambda: 0)
    with pytest.raises(SandboxError, match="no walls"):
        choose("auto", url="unix:///nowhere.sock", model_answers=True)


def test_an_engine_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """A socket that accepts and never answers costs two seconds."""
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen(8)
        assert probe(f"unix://{tmp_path}/mute.sock")["answers"] == "no"


def test_a_worker_that_cannot_start_is_our_fault(tmp_path: Path) -> None:
    """No candidate code has run, so it is a SandboxError and not a Fault."""
    from evolve.contracts import Job

    job = Job(files={}, data=tmp_path, config={}, limits=Limits(open_files=3))
    with pytest.raises(SandboxError, match="expected a worker ready"):
        LocalSandbox(warm_torch=False).open(job)
    job = Job(files={}, data=tmp_path, config={}, limits=Limits(start_s=0.001))
    with pytest.raises(SandboxError, match=r"ready within 0\.001 s"):
        LocalSandbox(warm_torch=False).open(job)


@pytest.mark.docker
def test_unreadable_data_is_said_before_a_container_starts(tmp_path: Path) -> None:
    """The container's user is nobody: a private folder would look empty to the candidate."""
    from evolve.contracts import Job
    from sandbox.docker import DockerSandbox
    from tests.sandbox.sandbox_parts import require_engine

    require_engine()
    tmp_path.chmod(0o700)
    with pytest.raises(SandboxError, match="chmod -R o"):
        DockerSandbox(warm_torch=False).open(Job(files={}, data=tmp_path, config={}, limits=Limits()))


def test_a_folder_too_deep_for_a_path_is_removed(tmp_path: Path) -> None:
    """A candidate may nest folders until no path names the last one; what is shut against its owner goes too."""
    deep, here = tmp_path / "deep", os.getcwd()
    deep.mkdir()
    try:
        os.chdir(deep)
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        os.mkdir("shut", 0o000)
    finally:
        os.chdir(here)
    remove(str(deep))
    assert not deep.exists()


def test_a_group_of_version_2_is_made_with_its_limits(tmp_path: Path) -> None:
    """One folder; swap is refused where the kernel accounts for it."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    group = make_group(Limits(memory_bytes=1 << 20, processes=7), "mine", tmp_path)
    assert group is not None
    written = {name: (tmp_path / "mine" / name).read_text() for name in ("memory.max", "pids.max", "cpu.max")}
    assert written == {"memory.max": str(1 << 20), "pids.max": "7", "cpu.max": "100000 100000"}
    assert group.listings == (str(tmp_path / "mine" / "cgroup.procs"),)


def test_a_group_of_version_1_is_made_in_each_hierarchy(tmp_path: Path) -> None:
    """Memory, processes, CPU time and CPU accounting each have a tree; usage is read from where it was made."""
    for controller in ("memory", "pids", "cpu", "cpuacct"):
        (tmp_path / controller).mkdir()
    group = make_group(Limits(memory_bytes=1 << 20, processes=7), "mine", tmp_path)
    assert group is not None
    assert (tmp_path / "memory" / "mine" / "memory.limit_in_bytes").read_text() == str(1 << 20)
    assert (tmp_path / "pids" / "mine" / "pids.max").read_text() == "7"
    (tmp_path / "cpuacct" / "mine" / "cpuacct.usage").write_text("2500000000\n")
    assert group.group.usage() == Usage(cpu_s=2.5)
    assert len(group.listings) == 4


def test_where_no_group_may_be_made_there_is_none(tmp_path: Path) -> None:
    """A user without rights goes on without one."""
    assert make_group(Limits(), "mine", tmp_path / "nowhere") is None
