"""The journal as a model reads it: the best first, each row with a compact diff, whole while it fits.

Where it does not fit: the best, then the latest and the failures, and how many were left out. A row is a pure
function of its attempt. The order and the completeness matter: the YouTube paper's ablation measured both.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from agents.models.words import tokens_in
from evolve.contracts import Attempt, History, Scored, Tree

DIFF_LINES, LINE_LENGTH = 8, 100
TOP = 5
Form = Literal["sorted", "whole", "top", "none"]
"""`sorted`: the best first, in parts where not all fits. For ablations: `whole` keeps the order of time (the latest,
where not all fits), `top` shows the best few alone, `none` nothing."""
PAGE = 20
"""Attempts a page."""
LATEST, FAILURES = 0.2, 0.2
"""Shares of the budget that the latest attempts and the failures may take where not all fits."""


def journal_text(history: History, tokens: int, form: Form = "sorted") -> str:
    """The journal in at most `tokens` tokens by our estimate."""
    if not history.attempts:
        return "Nothing was tried yet."
    if form == "none":
        return "The journal is not shown."
    rows = _Rows(history)
    ranked = sorted(history.attempts, key=_rank)
    if form == "top":
        return "\n".join(["The best attempts:", *rows.fitting(ranked[:TOP], tokens).values()])
    if form == "whole":
        shown = rows.fitting(reversed(history.attempts), tokens - 20)
        return "\n".join([f"{len(shown)} of {len(ranked)} attempts, in their order:", *reversed(shown.values())])
    whole = rows.fitting(ranked, tokens - tokens_in(_head(len(ranked), 0)))
    if len(whole) == len(ranked):
        return "\n".join([_head(len(ranked), 0), *whole.values()])
    return _in_parts(history, ranked, rows, tokens)


def journal_page(history: History, page: int) -> str:
    """Page `page`, from 1, of all attempts, the best first."""
    ranked = sorted(history.attempts, key=_rank)
    pages = max(1, -(-len(ranked) // PAGE))
    number = min(max(1, page), pages)
    rows = _Rows(history)
    shown = [rows.row(attempt) for attempt in ranked[(number - 1) * PAGE : number * PAGE]]
    return "\n".join([f"Page {number} of {pages}, {len(ranked)} attempts in all.", *shown])


def _in_parts(history: History, ranked: Sequence[Attempt], rows: _Rows, tokens: int) -> str:
    """The best, the latest and the failures, no row twice."""
    left = tokens - tokens_in(_head(len(ranked), len(ranked))) - 60
    failures = [a for a in reversed(history.attempts) if not isinstance(a.outcome, Scored)]
    latest = rows.fitting(list(reversed(history.attempts)), int(left * LATEST))
    failed = rows.fitting([a for a in failures if a.candidate.number not in latest], int(left * FAILURES))
    seen = {**latest, **failed}
    used = sum(tokens_in(row) + 1 for row in seen.values())
    best = rows.fitting([a for a in ranked if a.candidate.number not in seen], left - used)
    missing = len(ranked) - len(seen) - len(best)
    parts = [_head(len(ranked), missing), "Best:", *best.values(), "Latest:", *latest.values()]
    return "\n".join([*parts, "Failures:", *failed.values()] if failed else parts)


def _head(count: int, missing: int) -> str:
    left_out = f"; {missing} of them are left out here (ask read_journal for them)" if missing else ""
    return f"{count} attempts, sorted by offline gain over the seed, best first{left_out}."


def _rank(attempt: Attempt) -> tuple[float, int]:
    gain = attempt.outcome.gain if isinstance(attempt.outcome, Scored) else float("-inf")
    return -gain, attempt.candidate.number


class _Rows:
    """Rows of one history; the parents' trees are looked up by commit."""

    def __init__(self, history: History) -> None:
        known = [history.seed, *(row.candidate for row in (*history.attempts, *history.pending))]
        self._trees = {candidate.commit: candidate.tree for candidate in known}
        self._numbers = {candidate.commit: candidate.number for candidate in known}

    def fitting(self, attempts: Iterable[Attempt], tokens: int) -> dict[int, str]:
        """Number -> row, of the attempts in their order until the tokens are used up."""
        found: dict[int, str] = {}
        for attempt in attempts:
            row = self.row(attempt)
            tokens -= tokens_in(row) + 1
            if tokens < 0:
                break
            found[attempt.candidate.number] = row
        return found

    def row(self, attempt: Attempt) -> str:
        """One attempt."""
        proposal, parents = attempt.proposal, attempt.proposal.parents
        above = ",".join(f"#{self._numbers.get(commit, '?')}" for commit in parents)
        kind = f"[{proposal.persona.value}/{proposal.move.value}] {proposal.technique}"
        diff = compact_diff(self._trees.get(parents[0], {}), proposal.files)
        said = one_line(proposal.hypothesis, 200)
        return f"#{attempt.candidate.number} on {above} {kind}: {outcome_text(attempt)} | {said}\n{diff}"


def outcome_text(attempt: Attempt) -> str:
    """What came of an attempt, in a line."""
    outcome = attempt.outcome
    if isinstance(outcome, Scored):
        verdict = f", {outcome.verdict.decision}" if outcome.verdict else ""
        return f"gain {outcome.gain:+.5f} (se {outcome.standard_error:.5f}) at {outcome.rung}{verdict}"
    return f"{outcome.kind}: {one_line(outcome.reason, 160)}"


def compact_diff(before: Tree, files: Tree) -> str:
    """The first changed lines of each file, without context."""
    return "\n".join(_file_diff(path, before.get(path, ""), files[path]) for path in sorted(files))


@lru_cache(maxsize=8192)
def _file_diff(path: str, old: str, new: str) -> str:
    """One file's part; most rows of a prompt stood in the prompt before it."""
    changed = list(_changed(old.split("\n"), new.split("\n")))
    lines = [one_line(line, LINE_LENGTH, keep_indent=True) for line in changed[:DIFF_LINES]]
    more = [f"  ... {len(changed) - DIFF_LINES} more lines"] if len(changed) > DIFF_LINES else []
    return "\n".join([f"  {path}:", *(f"  {line}" for line in lines), *more])


def _changed(old: Sequence[str], new: Sequence[str]) -> Iterable[str]:
    """Removed and added lines; equal ends are cut off first, which makes the rest small and the search cheap."""
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle = difflib.SequenceMatcher(None, old[start : len(old) - end], new[start : len(new) - end], autojunk=False)
    for tag, i, j, k, m in middle.get_opcodes():
        if tag != "equal":
            yield from (f"-{line}" for line in old[start + i : start + j] if line.strip())
            yield from (f"+{line}" for line in new[start + k : start + m] if line.strip())


def one_line(text: str, length: int, *, keep_indent: bool = False) -> str:
    """`text` on one line of at most `length` characters."""
    plain = text if keep_indent else " ".join(text.split())
    return plain if len(plain) <= length else plain[: length - 3] + "..."
