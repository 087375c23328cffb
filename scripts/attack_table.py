"""Writes docs/ATTACKS.md: what each hostile candidate of the corpus tries, and what came of it in each sandbox.

The outcomes are those of the committed result of `python -m benchmarks.attacks`; nothing is played here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.attacks.corpus import HOST, JUDGE, LEARNING, RESOURCES, WORDS

ROOT = Path(__file__).resolve().parents[1]
RESULT, PAGE = ROOT / "benchmarks" / "results" / "attacks.json", ROOT / "docs" / "ATTACKS.md"
FAMILIES = {
    "Host": HOST,
    "Resources": RESOURCES,
    "Judge": JUDGE,
    "Learning": LEARNING,
    "Words": WORDS,
}
HEAD = """# Attacks

Every hostile candidate of `tests/attacks/corpus/`, and what came of it in each sandbox, as committed with
`python -m benchmarks.attacks` (commit {commit}, {cpu}). Made by `python -m scripts.attack_table`.

- `scored`: it ran to its end as an ordinary candidate, and got or reached nothing: what it tried failed quietly.
- `failed`, `timed_out`, `out_of_memory`, `cheated`: it was ended, with that outcome and no score.
- `not claimed`: that sandbox promises nothing against it (`local` stops neither network nor file reads).

Contained: {contained}. Forged scores: {forged}. Honest candidates blamed: {blamed} of {honest}.
"""


def page(result: Mapping[str, Any]) -> str:
    """The whole page."""
    details = result["details"]
    boxes, table = list(details["contained"]), details["table"]
    parts = [
        HEAD.format(
            commit=result["commit"], cpu=result["machine"]["cpu"], forged=details["forged_scores"],
            contained=", ".join(f"{name} {count}" for name, count in details["contained"].items()),
            blamed=len(details["false_alarms"]), honest=details["honest"],
        )
    ]  # fmt: skip
    for family, attacks in FAMILIES.items():
        rows = [f"| attack | it tries to | {' | '.join(boxes)} |", f"| --- | --- |{' --- |' * len(boxes)}"]
        for attack in attacks:
            found = table.get(attack.name, {})
            outcomes = " | ".join(found.get(box, "newer than the result") for box in boxes)
            rows.append(f"| `{attack.name}` | {_plain(attack.tries)} | {outcomes} |")
        parts.append(f"## {family}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULT.read_text())))
