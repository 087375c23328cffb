"""One candidate as its page shows it. Reads the archive, the lineage and what was measured; runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evolve.archive import Confirmation
from evolve.contracts import Outcome, Rejected, Scored, Verdict
from evolve.errors import RunError
from evolve.fingerprint import fingerprint
from evolve.report import rows
from evolve.web.diffs import compare
from evolve.web.readings import Reading

DETAIL_SHOWN = 20_000
"""Characters of a traceback's end."""


def context_of(reading: Reading, number: int) -> dict[str, Any]:
    """Everything that the page of a candidate names. Raises UsageError where there is none."""
    archive, lineage = reading.archive, reading.lineage()
    candidate = reading.candidate(number)
    parents = [archive.by_commit[commit].number for commit in candidate.parents]
    before = lineage.tree(candidate.parents[0]) if candidate.parents else {}
    context: dict[str, Any] = {
        "number": number,
        "last": len(archive.candidates) - 1,
        "row": rows.candidates(archive)[number],
        "proposal": reading.proposal(number),
        "commit": candidate.commit,
        "files": compare(before, lineage.tree(candidate.commit)),
        "parents": parents,
    }
    if number == 0:
        return context
    outcome = archive.outcome(number)
    looks = [look for look in archive.confirmations if look.number == number]
    return {
        **context,
        **_came(outcome),
        **_metrics(reading, number, outcome),
        **_slices(reading, looks),
        "observable": context["proposal"].observable,
        "claimed": _claimed(context["proposal"].observable, outcome),
        "children": [c.number for c in archive.candidates[number + 1 :] if candidate.commit in c.parents],
        "looks": looks,
        "pull": next((n for n, look in enumerate(archive.promoted, 1) if look.number == number), 0),
    }


def metric_rows(before: Mapping[str, float], now: Mapping[str, float]) -> list[dict[str, str]]:
    """Metrics of two candidates and how they differ."""
    return [
        {
            "name": name,
            "before": f"{before[name]:.4f}" if name in before else "none",
            "now": f"{now[name]:.4f}" if name in now else "none",
            "difference": rows.signed(now[name] - before[name]) if name in now and name in before else "",
        }
        for name in dict.fromkeys([*now, *before])
    ]


def _came(outcome: Outcome | None) -> dict[str, Any]:
    """What became of it, in words; nothing while it is in flight."""
    verdict = outcome.verdict if isinstance(outcome, Scored) else None
    why = verdict.reason if verdict else "" if outcome is None or isinstance(outcome, Scored) else outcome.reason
    return {
        "outcome": outcome,
        "verdict": verdict,
        "why": why,
        "detail": getattr(outcome, "detail", "")[-DETAIL_SHOWN:],
        "evidence": None if outcome is None or isinstance(outcome, Rejected) else outcome.evidence,
        "claims": list(_claims(outcome)),
    }


def _claims(outcome: Outcome | None) -> Iterator[tuple[str, str]]:
    if isinstance(outcome, Scored):
        yield from ((name, f"{value:.4g}") for name, value in outcome.observables.items())


def _claimed(observable: Any, outcome: Outcome | None) -> str:
    if observable is None or not isinstance(outcome, Scored) or observable.name not in outcome.observables:
        return "not reported"
    return f"{outcome.observables[observable.name]:.4g}"


def _metrics(reading: Reading, number: int, outcome: Outcome | None) -> dict[str, Any]:
    """Its metrics beside those of the candidate that it was judged against."""
    archive, reference = reading.archive, reading.references.get(number, 0)
    if not isinstance(outcome, Scored):
        return {"metrics": [], "reference": reference}
    other = archive.outcome(reference)
    floor = {archive.floor.metric: archive.floor.score} if archive.floor else {}
    before = other.metrics if isinstance(other, Scored) else floor
    return {"metrics": metric_rows(before, outcome.metrics), "reference": reference}


def _slices(reading: Reading, looks: list[Confirmation]) -> dict[str, Any]:
    """The confirmation users in thirds, where the run's measurements are here."""
    nothing = {"slices": None, "slices_metric": ""}
    if not looks or not reading.folder.measurements.exists():
        return nothing
    from evaluations.recorded import by_slice

    look = looks[-1]
    verdict: Verdict = look.verdict
    lineage, candidates = reading.lineage(), reading.archive.candidates
    prints = [fingerprint(lineage.tree(candidates[n].commit)) for n in (look.number, look.against)]
    try:
        found = by_slice(reading.folder.measurements, reading.archive.settings, prints[0], prints[1], verdict)
    except RunError:  # a damaged measurement is said by what measures, not by what shows
        return nothing
    return {"slices": found, "slices_metric": verdict.metric}
