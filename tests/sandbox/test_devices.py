"""One accelerator for each session. No machine with one was at hand: what is asked of the engine is tested, no more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from evolve.contracts import Job
from evolve.errors import SandboxError, UsageError
from sandbox.choose import choose
from sandbox.devices import Devices, read_devices
from sandbox.engine import Engine, Recipe, container_config
from tests.sandbox.sandbox_parts import SMALL, require_engine


def test_devices_are_lent_evenly_and_lent_again() -> None:
    """More sessions than devices share them; without devices there is none to lend."""
    devices = Devices(("0", "1"))
    assert [devices.lend() for _ in range(3)] == ["0", "1", "0"]
    devices.give_back("0")
    devices.give_back("0")
    assert [devices.lend() for _ in range(2)] == ["0", "0"]
    assert Devices().lend() == ""


def test_devices_are_read_from_the_command_line() -> None:
    """Indices or UUIDs."""
    assert read_devices("") == ()
    assert read_devices("0, GPU-5a1b") == ("0", "GPU-5a1b")
    for wrong in ("0,0", "0,", "all of them"):
        with pytest.raises(UsageError, match="--gpus 0,1"):
            read_devices(wrong)
    with pytest.raises(UsageError, match="for docker"):
        choose("bubblewrap", gpus="0")


@pytest.mark.docker
def test_a_container_asks_for_its_one_device(data: Path) -> None:
    """And for none where none was named."""
    require_engine()
    with closing(Engine().client()) as client:
        asked = [
            container_config(client, Recipe(image="i", limits=SMALL, data=data, options={}, cpu_shares=2, gpu=gpu))
            for gpu in ("1", "")
        ]
    requests = [config["HostConfig"].get("DeviceRequests") for config in asked]
    assert requests[1] is None
    (request,) = requests[0]
    assert (request["DeviceIDs"], request["Capabilities"]) == (["1"], [["gpu", "compute", "utility"]])


@pytest.mark.docker
@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has an accelerator")
def test_a_device_that_is_not_there_is_nobody_s_fault_but_the_machine_s(job: Callable[..., Job]) -> None:
    """The engine's words, before a candidate's code is read; the device is free again."""
    require_engine()
    with closing(choose("docker", gpus="0,1", warm_torch=False)) as box:
        for _ in range(2):
            with pytest.raises(SandboxError, match="start a container"):
                box.open(job())
