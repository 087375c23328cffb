"""Every attack of the corpus on every sandbox, and honest candidates beside them.

The figure is the share of attacks contained in Docker and in bubblewrap; beside it the table attack x sandbox ->
outcome, forged scores, and the share of honest candidates (techniques on both spaces' seeds) that were blamed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from agents import edits
from benchmarks.common import Result, main, progress
from evaluations.sessions import Route, Sessions
from evolve.config import cache_folder
from evolve.contracts import Candidate, Sandbox, SearchSpace, Tree
from evolve.errors import SandboxError
from evolve.measuring import load_task
from sandbox.choose import choose
from search_spaces.space import load
from tests.attacks.corpus import ATTACKS
from tests.attacks.scene import Scene, scene

BOXES, PROMISED = ("docker", "bubblewrap", "podman", "landlock", "fork", "local"), ("docker", "bubblewrap")
HONEST, FALSE_ALARMS = 100, 0.02
NOT_STOPPED = "not claimed"


def played(box: Sandbox, host: Scene, quick: bool) -> dict[str, str]:
    """Each attack's outcome; an escape or a wrong outcome is marked with `!`."""
    rows: dict[str, str] = {}
    for attack in ATTACKS[:: 40 if quick else 1]:
        if box.name in attack.lets_through:
            rows[attack.name] = NOT_STOPPED
            continue
        seen = host.play(box, attack)
        right = seen.outcome in attack.right and not seen.escapes
        rows[attack.name] = seen.outcome if right else f"! {seen.outcome}: {', '.join(seen.escapes)}"
    contained = sum(not outcome.startswith("!") and outcome != NOT_STOPPED for outcome in rows.values())
    progress(f"{box.name}: {contained} of {len(rows)} attacks contained")
    return rows


def honest_trees(space: SearchSpace) -> Iterator[Tree]:
    """The seed, each technique on it, and pairs of neighbours in the catalogue."""
    yield space.seed
    singles = [tree for card in space.techniques if (tree := edits.apply(space.seed, card)) is not None]
    yield from singles
    for tree, card in zip(singles, space.techniques[1:], strict=False):
        both = edits.apply(tree, card)
        if both is not None and both != tree:
            yield both


def blamed(box: Sandbox, count: int) -> list[str]:
    """Honest candidates that did not come through their smoke rung."""
    found: list[str] = []
    for name in ("video_ranking", "next_item"):
        space = load(name)
        sessions = Sessions(space, load_task(name, "", "aligned", cache_folder()), box, 1)
        for number, tree in zip(range(count // 2), honest_trees(space), strict=False):
            candidate = Candidate(number=number, commit="", parents=(), tree=tree, fingerprint=str(number))
            walk = sessions.walk(candidate, Route(rungs=space.rungs[:1], split="search", seed=1))
            if walk.fault:
                found.append(f"{name} {number}: {walk.fault.reason}")
    progress(f"{len(found)} of {count} honest candidates were blamed")
    return found


def measure(quick: bool) -> Result:
    """All sandboxes that the machine has; honest candidates in Docker."""
    table: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="attacks.") as folder, scene(Path(folder)) as host:
        for name in PROMISED[:1] if quick else BOXES:
            try:
                with closing(choose(name, warm_torch=False)) as box:
                    table[name] = played(box, host, quick)
            except SandboxError as error:
                progress(f"{name}: {error.message}")
    honest = 4 if quick else HONEST
    with closing(choose("docker")) as box:
        alarms = blamed(box, honest)
    outcomes = [row for name in PROMISED for row in table.get(name, {}).values()]
    contained = sum(not row.startswith("!") for row in outcomes) / max(1, len(outcomes))
    forged = sum("forged" in row for rows in table.values() for row in rows.values())
    details: dict[str, Any] = {
        "attacks": len(ATTACKS), "forged_scores": forged, "honest": honest, "false_alarms": alarms,
        "contained": {
            name: f"{sum(not o.startswith('!') and o != NOT_STOPPED for o in rows.values())} of {len(rows)}"
            for name, rows in table.items()
        },
        "table": {a.name: {name: rows[a.name] for name, rows in table.items() if a.name in rows} for a in ATTACKS},
    }  # fmt: skip
    return Result(
        figure=round(contained, 4),
        unit="share of attacks contained in Docker and bubblewrap",
        interval=None,
        goal=f"all of them, no forged score anywhere, at most {FALSE_ALARMS:.0%} of {HONEST} honest candidates blamed",
        holds=contained == 1 and not forged and len(alarms) <= FALSE_ALARMS * honest and set(PROMISED) <= set(table),
        details=details,
    )


if __name__ == "__main__":
    main("attacks", measure, __doc__ or "")
