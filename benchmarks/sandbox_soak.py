"""A thousand candidates in a row, one in twenty hostile: what is left behind, and what hostility costs the honest.

Two runs of the same length, one with hostile candidates and one without; before and after each the machine is looked
at. The figure is the throughput of the honest ones beside hostile ones over that without.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
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

COUNT, HOSTILE_EVERY, LEAST = 1000, 20, 0.9
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


def soak(box: Sandbox, host: Scene, count: int, *, hostile: bool) -> tuple[float, list[str]]:
    """Honest candidates a second, counted over their own time; and the attacks that were not contained."""
    brief = [attack for attack in ATTACKS if not attack.impatient and box.name not in attack.lets_through]
    spent, loose = [], list[str]()
    for number in range(count):
        if hostile and number % HOSTILE_EVERY == HOSTILE_EVERY - 1:
            attack = brief[(number // HOSTILE_EVERY * 7) % len(brief)]
            if host.play(box, attack).escapes:
                loose.append(attack.name)
            continue
        spent.append(honest_s(box, host))
        if number % 100 == 0:
            progress(f"{number} of {count}, {len(spent) / sum(spent):.2f} honest candidates a second")
    return len(spent) / sum(spent), loose


def measure(quick: bool) -> Result:
    """Without hostile candidates, then with."""
    count = 20 if quick else COUNT
    with (
        tempfile.TemporaryDirectory(prefix="soak.") as folder,
        scene(Path(folder)) as host,
        closing(choose("docker", warm_torch=False)) as box,
    ):
        honest_s(box, host)
        before = look()
        alone, _ = soak(box, host, count, hostile=False)
        beside, loose = soak(box, host, count, hostile=True)
        after = look()
    left = {name: after[name] - before[name] for name in before}
    clean = all(left[name] <= most for name, most in LEAKS.items())
    details: dict[str, Any] = {
        "candidates": count, "before": before, "after": after, "not_contained": loose,
        "honest_a_second": {"alone": round(alone, 2), "beside_hostile": round(beside, 2)},
    }  # fmt: skip
    return Result(
        figure=round(beside / alone, 3),
        unit="throughput of honest candidates beside hostile ones over that without",
        interval=None,
        goal=f"at least {LEAST}, and nothing left behind: {LEAKS}",
        holds=beside / alone >= LEAST and clean and not loose,
        details=details,
    )


if __name__ == "__main__":
    main("sandbox_soak", measure, __doc__ or "")
