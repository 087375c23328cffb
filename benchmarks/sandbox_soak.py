"""A thousand candidates in a row, one in twenty hostile: what is left behind, and what hostility costs the honest.

Two runs of the same length, one with hostile candidates and one without, take turns in blocks so that a busy hour hits
both; before and after, the machine is looked at. The figure is the throughput of the honest ones beside hostile ones
over that without.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import Result, main, progress
from evolve.contracts import Job, Sandbox
from sandbox import owner
from sandbox.choose import choose
from sandbox.engine import OWNER_LABEL, Engine
from tests.attacks.corpus import ATTACKS
from tests.attacks.scene import HARNESS, LIMITS, Attack, Scene, scene

COUNT, BLOCK, HOSTILE_EVERY, LEAST = 1000, 100, 20, 0.9
HONEST = Attack(name="honest", family="honest", tries="nothing", train="return {'steps': float(examples)}")
LEAKS = {"containers": 0, "processes": 0, "shims": 0, "descriptors": 2, "memory_mib": 64, "scratch_folders": 0}
"""How much more of each may be there afterwards than before."""


def look() -> dict[str, float]:
    """What this process could have left behind, whatever else runs on the machine: its containers, its descendants and
    the engine's supervisors ("shims") of containers that are gone; its own descriptors and memory."""
    with closing(Engine().client()) as client:
        containers = len(client.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner.this_process()}"}))
        known = {container["Id"] for container in client.containers(all=True)}
    me = psutil.Process()
    shims = [words for words in commands() if "shim" in words[0] and "-id" in words]
    return {
        "containers": containers,
        "processes": len(me.children(recursive=True)),
        "shims": sum(words[words.index("-id") + 1] not in known for words in shims),
        "descriptors": me.num_fds(),
        "memory_mib": me.memory_info().rss >> 20,
        "scratch_folders": len(list(Path(tempfile.gettempdir()).glob(f"evolve-sandbox.{owner.this_process()}.*"))),
    }


def commands() -> Iterator[list[str]]:
    """The command lines of all processes."""
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"]:
            yield process.info["cmdline"]


def honest_s(box: Sandbox, host: Scene) -> float:
    """Seconds of one honest candidate."""
    files = {"harness.py": HARNESS, "candidate.py": HONEST.source(host.words)}
    began = time.perf_counter()
    with box.open(Job(files=files, data=host.data, config={"seed": 0}, limits=LIMITS)) as session:
        assert session.train(3, 60.0) == {"steps": 3.0}
    return time.perf_counter() - began


@dataclass(slots=True)
class Soak:
    """One of the two runs: seconds of each honest candidate, and the attacks that were not contained."""

    box: Sandbox
    host: Scene
    hostile: bool
    number: int = 0
    spent: list[float] = field(default_factory=list[float])
    loose: list[str] = field(default_factory=list[str])

    @property
    def a_second(self) -> float:
        """Honest candidates a second, counted over their own time."""
        return len(self.spent) / sum(self.spent)

    def go_on(self, count: int) -> None:
        """So many more candidates."""
        brief = [attack for attack in ATTACKS if not attack.impatient and self.box.name not in attack.lets_through]
        for _ in range(count):
            self.number += 1
            if self.hostile and self.number % HOSTILE_EVERY == 0:
                attack = brief[(self.number // HOSTILE_EVERY * 7) % len(brief)]
                if self.host.play(self.box, attack).escapes:
                    self.loose.append(attack.name)
            else:
                self.spent.append(honest_s(self.box, self.host))


def measure(quick: bool) -> Result:
    """Blocks of both in turn."""
    count = 20 if quick else COUNT
    with (
        tempfile.TemporaryDirectory(prefix="soak.") as folder,
        scene(Path(folder)) as host,
        closing(choose("docker", warm_torch=False)) as box,
    ):
        honest_s(box, host)
        alone, beside = Soak(box, host, hostile=False), Soak(box, host, hostile=True)
        before = look()
        for done in range(0, count, BLOCK):
            for run in (alone, beside):
                run.go_on(min(BLOCK, count - done))
            progress(
                f"{alone.number} of {count}, {alone.a_second:.2f} honest a second alone, {beside.a_second:.2f} beside"
            )
        after = look()
    left = {name: after[name] - before[name] for name in before}
    clean = all(left[name] <= most for name, most in LEAKS.items())
    details: dict[str, Any] = {
        "candidates": count, "before": before, "after": after, "not_contained": beside.loose,
        "honest_a_second": {"alone": round(alone.a_second, 2), "beside_hostile": round(beside.a_second, 2)},
    }  # fmt: skip
    return Result(
        figure=round(beside.a_second / alone.a_second, 3),
        unit="throughput of honest candidates beside hostile ones over that without",
        interval=None,
        goal=f"at least {LEAST}, and nothing left behind: {LEAKS}",
        holds=beside.a_second / alone.a_second >= LEAST and clean and not beside.loose,
        details=details,
    )


if __name__ == "__main__":
    main("sandbox_soak", measure, __doc__ or "")
