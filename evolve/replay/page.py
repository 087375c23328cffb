"""A run as one self-contained page that plays it: the tree grows, the best-so-far moves, the diff scrolls.

Every text of a candidate is a stranger's. The steps stand in the page as JSON in which no `<` is left, the script puts
them into text nodes only, and the page's policy lets no other script run and fetches nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from evolve.contracts import Scored
from evolve.lineage import Lineage
from evolve.replay.steps import Step

DIFF_SHOWN = 20_000
"""Characters of one step's diff: a page of a thousand steps must still open."""


def write(played: Iterable[Step], lineage: Lineage, name: str, path: Path) -> Path:
    """Writes the page to `path`, whole or not at all; returns `path`. Equal steps give equal pages."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(render([_row(step, lineage) for step in played], name), encoding="utf-8")
    unfinished.replace(path)
    return path


def render(rows: list[dict[str, Any]], name: str) -> str:
    """The page as text."""
    folder = resources.files("evolve.replay")
    shell = folder.joinpath("player.html").read_text(encoding="utf-8")
    script = folder.joinpath("player.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = json.dumps({"run": name, "steps": rows})  # ASCII: no line separator or byte order can end the element
    data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    before, after = shell.replace("HASH", digest).split("SCRIPT")
    head, rest = before.split("DATA")
    return head + data + rest + script + after


def _row(step: Step, lineage: Lineage) -> dict[str, Any]:
    outcome, proposal = step.outcome, step.proposal
    scored = isinstance(outcome, Scored)
    return {
        "number": step.candidate.number,
        "parents": list(step.parents),
        "technique": proposal.technique,
        "hypothesis": proposal.hypothesis,
        "mechanism": proposal.mechanism,
        "kind": outcome.kind if outcome else "in flight",
        "gain": outcome.gain if scored else None,
        "reason": "" if outcome is None or scored else outcome.reason,
        "decision": step.decision,
        "champion": step.champion,
        "diff": lineage.diff(step.candidate.parents[0], step.candidate.commit)[:DIFF_SHOWN],
    }
