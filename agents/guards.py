"""What failures teach: one guard for each kind of failure, seen by later proposals and, where it can be, enforced.

Derived anew from the history; nothing is stored. A guard is made of a candidate's own words, so it is shown as
data, shortened, and only patterns of a fixed form are enforced.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.journal_text import one_line
from evolve.contracts import Attempt, Scored, Tree

SHOWN = 8
NO_ATTRIBUTE = re.compile(r"module '([A-Za-z_][\w.]*)' has no attribute '([A-Za-z_]\w*)'")
NO_IMPORT = re.compile(r"cannot import name '([A-Za-z_]\w*)' from '([A-Za-z_][\w.]*)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A pattern of failure, why it fails, and the numbers of the candidates in which it was seen.

    `forbidden` is a dotted name that no new text may use; empty where the pattern can't be checked by a machine.
    """

    pattern: str
    reason: str
    seen: tuple[int, ...]
    forbidden: str = ""

    @property
    def text(self) -> str:
        """One line for a prompt."""
        where = ", ".join(f"#{number}" for number in self.seen[-3:])
        return f"- {self.pattern}: {self.reason} (seen {len(self.seen)} times, last in {where})"


def read_guards(attempts: Sequence[Attempt]) -> list[Guard]:
    """The guards of a history, the most often seen first."""
    found: dict[tuple[str, str], Guard] = {}
    for attempt in attempts:
        outcome = attempt.outcome
        if isinstance(outcome, Scored):
            continue
        reason = one_line(outcome.reason, 160)
        key = (outcome.kind, re.sub(r"0x[0-9a-f]+|\d+(?:\.\d+)?", "N", reason))
        seen = (*(found[key].seen if key in found else ()), attempt.candidate.number)
        detail = getattr(outcome, "detail", "")
        found[key] = Guard(pattern=outcome.kind, reason=reason, seen=seen, forbidden=_forbidden(f"{reason}\n{detail}"))
    return sorted(found.values(), key=lambda guard: (-len(guard.seen), guard.seen))


def guard_text(guards: Sequence[Guard]) -> str:
    """The guards for a prompt."""
    return "\n".join(guard.text for guard in guards[:SHOWN])


def broken_guard(guards: Sequence[Guard], before: Tree, files: Tree) -> str | None:
    """Why new text repeats a known failure, or None."""
    for guard in guards:
        if not guard.forbidden:
            continue
        for path, text in files.items():
            uses = re.compile(rf"(?<![\w.]){re.escape(guard.forbidden)}(?!\w)")
            if uses.search(text) and not uses.search(before.get(path, "")):
                return (
                    f"{path} uses `{guard.forbidden}`, which does not exist: candidate #{guard.seen[-1]} failed by it"
                )
    return None


def _forbidden(text: str) -> str:
    attribute = NO_ATTRIBUTE.search(text)
    if attribute:
        return f"{attribute[1]}.{attribute[2]}"
    name = NO_IMPORT.search(text)
    return f"{name[2]}.{name[1]}" if name else ""
