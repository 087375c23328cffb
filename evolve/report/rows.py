"""A run's archive as rows of text for the page's tables. Knows neither HTML nor charts; draws no conclusion."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evolve.archive import Archive
from evolve.contracts import Attempt, Outcome, Rejected, Scored

NORMAL_95 = 1.96
"""Standard errors on each side of a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One candidate. `state` is an outcome's kind, `promoted`, `seed` or `waiting`; `depth` is that in the tree."""

    number: int
    commit: str
    parents: str
    technique: str
    persona: str
    move: str
    hypothesis: str
    state: str
    rung: str
    gain: str
    reason: str
    verdict: str
    champion: bool
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRow:
    """One row of the table of the test set: a name and one text for each metric."""

    name: str
    values: tuple[str, ...]


def signed(value: float) -> str:
    """A gain or an effect."""
    return f"{value:+.4f}"


def within(outcome: Scored) -> str:
    """The gain over the seed and the half-width of its 95 % interval."""
    return f"{signed(outcome.gain)} ± {NORMAL_95 * outcome.standard_error:.4f}"


def candidates(archive: Archive) -> list[Row]:
    """Every candidate in order of its number, the seed first."""
    attempts = {a.candidate.number: a for a in archive.attempts}
    waiting = {p.candidate.number: p.proposal for p in archive.pending}
    promoted = {c.number for c in archive.confirmations if c.promoted}
    champion = archive.champion.number if archive.champion is not None else 0
    rows = [_seed_row(archive, champion == 0)]
    for candidate in archive.candidates[1:]:
        number = candidate.number
        attempt = attempts.get(number)
        proposal = attempt.proposal if attempt is not None else waiting[number]
        parents = ", ".join(f"#{archive.by_commit[commit].number}" for commit in candidate.parents)
        row = Row(
            number=number,
            commit=candidate.commit,
            parents=parents,
            technique=proposal.technique,
            persona=proposal.persona,
            move=proposal.move,
            hypothesis=proposal.hypothesis,
            state=_state(attempt, number in promoted),
            rung=_rung(attempt),
            gain=_gain(attempt),
            reason=_reason(attempt),
            verdict=_verdict(attempt),
            champion=number == champion,
        )
        rows.append(row)
    return rows


def tree(archive: Archive, rows: list[Row]) -> list[Row]:
    """The rows in the order of the family tree, each under its first parent, with its depth."""
    from dataclasses import replace

    children: dict[int, list[int]] = {row.number: [] for row in rows}
    for candidate in archive.candidates[1:]:
        children[archive.by_commit[candidate.parents[0]].number].append(candidate.number)
    ordered: list[Row] = []
    stack = [(0, 0)]  # not recursive: a long run may be a thousand generations deep
    while stack:
        number, depth = stack.pop()
        ordered.append(replace(rows[number], depth=depth))
        stack.extend((child, depth + 1) for child in reversed(children[number]))
    return ordered


def final_table(archive: Archive) -> tuple[list[str], list[FinalRow]]:
    """Names of the metrics (primary first) and the rows of the test set, best first; empty before the end."""
    final = archive.final
    if final is None:
        return [], []
    named = {metric for values in final.rows.values() for metric in values}
    metrics = [final.metric, *sorted(named - {final.metric})]
    ordered = sorted(final.rows.items(), key=lambda item: -item[1].get(final.metric, float("-inf")))
    return metrics, [
        FinalRow(name=name, values=tuple(_cell(values.get(m)) for m in metrics)) for name, values in ordered
    ]


def cpu_seconds(archive: Archive) -> dict[str, float]:
    """CPU seconds by what they were spent on. What the confirmations took is not recorded."""
    spent = {"noise floor": archive.floor.cpu_s if archive.floor is not None else 0.0}
    spent["candidates"] = sum(a.outcome.cpu_s for a in archive.attempts if not isinstance(a.outcome, Rejected))
    spent["final fit"] = archive.final.cpu_s if archive.final is not None else 0.0
    return spent


def champion_outcome(archive: Archive) -> Scored | None:
    """How the champion scored in the search; None while the seed is the champion."""
    if archive.champion is None:
        return None
    outcome = archive.outcome(archive.champion.number)
    return outcome if isinstance(outcome, Scored) else None


def again(settings: Mapping[str, Any]) -> str:
    """The command that starts an equal run."""
    named = {"data": settings.get("dataset", ""), "world": settings.get("world", "")}
    words = {name: settings.get(name, "") for name in ("space", "seed", "workers", "budget", "sandbox")} | named
    return " ".join(["evolve start", *(f"--{k} {shlex.quote(str(v))}" for k, v in words.items() if v != "")])


def diff_lines(diff: str) -> list[tuple[str, str]]:
    """Each line of a unified diff with its class: file, hunk, added, removed or same."""
    lines: list[tuple[str, str]] = []
    in_head = False
    for line in diff.splitlines():
        in_head = line.startswith("diff --git") or (in_head and not line.startswith("@@"))
        kind = {"+": "added", "-": "removed", "@": "hunk"}.get(line[:1], "same")
        lines.append(("file" if in_head else kind, line))
    return lines


def _seed_row(archive: Archive, champion: bool) -> Row:
    return Row(
        number=0,
        commit=archive.seed.commit,
        parents="",
        technique="seed",
        persona="",
        move="",
        hypothesis="where the search begins",
        state="seed",
        rung="",
        gain="0 by definition",
        reason="",
        verdict="",
        champion=champion,
    )


def _state(attempt: Attempt | None, promoted: bool) -> str:
    if attempt is None:
        return "waiting"
    return "promoted" if promoted else attempt.outcome.kind


def _rung(attempt: Attempt | None) -> str:
    if attempt is None or isinstance(attempt.outcome, Rejected):
        return ""
    return attempt.outcome.rung


def _gain(attempt: Attempt | None) -> str:
    outcome: Outcome | None = attempt.outcome if attempt is not None else None
    return within(outcome) if isinstance(outcome, Scored) else ""


def _reason(attempt: Attempt | None) -> str:
    if attempt is None:
        return ""
    outcome = attempt.outcome
    if isinstance(outcome, Scored):
        return outcome.verdict.reason if outcome.verdict is not None else ""
    return outcome.reason


def _verdict(attempt: Attempt | None) -> str:
    outcome = attempt.outcome if attempt is not None else None
    return outcome.verdict.decision if isinstance(outcome, Scored) and outcome.verdict is not None else ""


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
