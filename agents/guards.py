"""What failures teach: one guard for each kind of failure, seen by later proposals and, where it can be, enforced.

Derived anew from the history; nothing is stored. A guard is made of a candidate's own words, so it is shown as data,
shortened, and only patterns of a fixed form are enforced (`agents.patterns`): only where the candidate's own change
bears the words out, and never against what a candidate that ran has in it. So no error text can forbid what works.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from agents.journal_text import one_line
from agents.patterns import Code, Pattern, new_code, patterns_in
from evolve.contracts import Attempt, Cheated, Failed, History, Proposal, Scored, Tree

SHOWN = 8
KNOWN = "a known failure"
"""How the reason of a refusal by a guard begins."""
COMPARED = 12
"""Of a failure seen more often, so many of the latest are compared for what they share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A pattern of failure, why it fails, and the numbers of the candidates in which it was seen.

    `enforced` are the patterns that no new text may hold; empty where none can be checked by a machine. A refusal by
    the gate has no candidate: then `seen` is empty and `refused` counts.
    """

    pattern: str
    reason: str
    seen: tuple[int, ...]
    enforced: tuple[Pattern, ...] = ()
    refused: int = 0

    @property
    def text(self) -> str:
        """One line for a prompt."""
        times = len(self.seen) + self.refused
        where = ", ".join(f"#{number}" for number in self.seen[-3:])
        said = f"seen {times} times, last in {where}" if where else f"refused {times} times, nothing was run"
        forbids = "; it is refused from now on" if self.enforced else ""
        return f"- {self.pattern}: {self.reason} ({said}{forbids})"


def read_guards(history: History) -> list[Guard]:
    """The guards of a history, the most often seen first."""
    trees = _trees(history)
    groups: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in history.attempts:
        if not isinstance(attempt.outcome, Scored):
            groups.setdefault(_key(attempt.outcome.kind, attempt.outcome.reason), []).append(attempt)
    guards = [_guard(kind, attempts, trees) for (kind, _), attempts in groups.items()]
    refused = Counter(_key("rejected", reason) for reason in history.refused if not reason.startswith(KNOWN))
    reasons = {_key("rejected", reason): reason for reason in history.refused}
    guards += [
        Guard(pattern="rejected", reason=one_line(reasons[key], 160), seen=(), refused=count)
        for key, count in refused.items()
    ]
    return sorted(guards, key=lambda guard: (-len(guard.seen) - guard.refused, guard.seen))


def guard_text(guards: Sequence[Guard]) -> str:
    """The guards for a prompt."""
    return "\n".join(guard.text for guard in guards[:SHOWN])


def broken_guard(guards: Sequence[Guard], history: History, before: Tree, files: Tree) -> str | None:
    """Why a change repeats a known failure, or None."""
    for guard in guards:
        for pattern in guard.enforced:
            where = pattern.added(before, {**before, **files})
            if where and not _runs_elsewhere(pattern, history):
                return f"{where}, and candidate #{guard.seen[-1]} {guard.pattern} by it: {guard.reason}"
    return None


def known_failure(history: History, proposal: Proposal) -> str | None:
    """Why the static gate refuses a proposal for free: it repeats what failed before."""
    before = _trees(history)[proposal.parents[0]]
    broken = broken_guard(read_guards(history), history, before, proposal.files)
    return f"{KNOWN}: {broken}" if broken else None


def _guard(kind: str, attempts: Sequence[Attempt], trees: dict[str, Tree]) -> Guard:
    last = attempts[-1].outcome
    assert not isinstance(last, Scored)
    found = tuple(dict.fromkeys(_enforced(attempts[-COMPARED:], trees)))
    seen = tuple(attempt.candidate.number for attempt in attempts)
    return Guard(pattern=kind, reason=one_line(last.reason, 160), seen=seen, enforced=found)


def _enforced(attempts: Sequence[Attempt], trees: dict[str, Tree]) -> Iterator[Pattern]:
    """What a machine can check: names that errors name, all that a cheater brought, what two equal failures share."""
    brought: list[frozenset[str]] = []
    for attempt in attempts:
        outcome, before = attempt.outcome, trees.get(attempt.proposal.parents[0], {})
        if not isinstance(outcome, Failed | Cheated):
            continue
        yield from patterns_in(f"{outcome.reason}\n{outcome.detail}", before, attempt.candidate.tree)
        code = new_code(before, attempt.candidate.tree)
        if isinstance(outcome, Cheated) and code:
            yield Code(parts=code)
        brought.append(code)
    for one, other in combinations(brought, 2):
        if one & other:
            yield Code(parts=one & other)


def _runs_elsewhere(pattern: Pattern, history: History) -> bool:
    """Whether a candidate that ran, or the seed, holds it: then it is not what failed."""
    ran = (attempt.candidate.tree for attempt in history.attempts if isinstance(attempt.outcome, Scored))
    return any(pattern.added({}, tree) for tree in (history.seed.tree, *ran))


def _key(kind: str, reason: str) -> tuple[str, str]:
    return kind, re.sub(r"0x[0-9a-f]+|#?\d+(?:\.\d+)?", "N", one_line(reason, 160))


def _trees(history: History) -> dict[str, Tree]:
    known = [history.seed, *(a.candidate for a in history.attempts), *(w.candidate for w in history.pending)]
    return {candidate.commit: candidate.tree for candidate in known}
