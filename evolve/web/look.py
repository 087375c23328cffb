"""Pages that show what was tried: lineage, candidates, one candidate, two of them, techniques, experiments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evolve.contracts import Outcome, Scored
from evolve.errors import UsageError
from evolve.report import rows
from evolve.report.rows import Row
from evolve.web import charts, trials
from evolve.web.candidate import context_of, metric_rows
from evolve.web.diffs import compare as compare_trees
from evolve.web.readings import Reading
from evolve.web.site import Site, clean

PAGE = 100
Context = Callable[[Reading], dict[str, Any]]

STATES = ("promoted", "scored", "failed", "timed_out", "cheated", "rejected", "waiting")


class LookPages:
    """Pages that only read."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def lineage(self, request: Request) -> Response:
        """The picture of all candidates; its data comes apart."""
        return self._show(request, "lineage.html", "lineage", "Lineage", _names)

    def lineage_data(self, request: Request) -> Response:
        """Every candidate in columns, as small as can be."""
        reading = self._site.shelf.reading(request.path_params["run"])
        with reading.lock:
            return JSONResponse(columns(reading))

    def candidates(self, request: Request) -> Response:
        """A table of candidates, a page at a time."""
        asked = request.query_params
        chosen, order = asked.get("state", ""), asked.get("order", "")

        def found(reading: Reading) -> dict[str, Any]:
            table = rows.candidates(reading.archive)
            kept = [row for row in table if not chosen or row.state == chosen]
            if order == "gain":
                kept.sort(key=lambda row: -_gain(reading, row))
            elif order != "oldest":
                kept.reverse()
            pages = max(1, -(-len(kept) // PAGE))
            page = min(pages, max(1, number_in(asked.get("page", "1"), "page")))
            shown = kept[(page - 1) * PAGE : page * PAGE]
            more = {"total": len(kept), "page": page, "pages": pages, "chosen": chosen, "order": order}
            return {"rows": shown, "states": STATES, **more}

        return self._show(request, "candidates.html", "candidates", "Candidates", found)

    def candidate(self, request: Request) -> Response:
        """One candidate with everything that is known of it."""
        number = number_in(request.path_params["number"], "candidate")
        title = f"#{number}"
        return self._show(request, "candidate.html", "candidates", title, partial(context_of, number=number))

    def compare(self, request: Request) -> Response:
        """Two candidates beside each other."""

        def found(reading: Reading) -> dict[str, Any]:
            last = len(reading.archive.candidates) - 1
            champion = reading.archive.champion.number if reading.archive.champion else 0
            a, b = request.query_params.get("a", "0"), request.query_params.get("b", str(champion or last))
            context = {"last": last, "a": a, "b": b, "problem": ""}
            try:
                return context | _pair(reading, number_in(a, "candidate"), number_in(b, "candidate"))
            except UsageError as error:
                return context | {"problem": str(error)}

        return self._show(request, "compare.html", "compare", "Compare", found)

    def techniques(self, request: Request) -> Response:
        """What each technique brought."""

        def found(reading: Reading) -> dict[str, Any]:
            made, zero = charts.bars(reading.archive)
            return {"bars": made, "zero": zero}

        return self._show(request, "techniques.html", "techniques", "Techniques", found)

    def experiments(self, request: Request) -> Response:
        """Experiments on users, where the run has any."""
        return self._show(request, "experiments.html", "experiments", "Experiments", trials.context_of)

    def _show(self, request: Request, template: str, here: str, title: str, context: Context) -> Response:
        reading = self._site.shelf.reading(request.path_params["run"])
        with reading.lock:
            return self._site.page(template, self._site.about(reading, here, title, **context(reading)))


def number_in(text: str, what: str) -> int:
    """A whole number that somebody typed. Raises UsageError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"`{text}` is no {what}'s number", hint="Numbers are whole and not negative.")
    return int(text)


def metrics_of(reading: Reading) -> list[str]:
    """Names of the metrics that any candidate has, the primary one first."""
    named = {name for a in reading.archive.attempts if isinstance(a.outcome, Scored) for name in a.outcome.metrics}
    primary = reading.archive.settings.get("metric", "")
    return sorted(named, key=lambda name: (name != primary, name))


def columns(reading: Reading) -> dict[str, Any]:
    """The lineage as columns: parents, outcome, persona, technique, gain and metrics by number."""
    archive = reading.archive
    promoted = {look.number for look in archive.promoted}
    names, places = list[str](), dict[str, int]()
    states, personas, techniques = list[str](), list[str](), list[int]()
    gains: list[float | None] = []
    metrics = metrics_of(reading)
    values: list[list[float | None]] = [[] for _ in metrics]
    for candidate in archive.candidates:
        number = candidate.number
        proposal, outcome = reading.proposal(number), archive.outcome(number)
        name = proposal.technique if proposal else "seed"
        if name not in places:
            places[name] = len(names)
            names.append(clean(name))
        techniques.append(places[name])
        personas.append(str(proposal.persona) if proposal else "seed")
        states.append("promoted" if number in promoted else _state(number, outcome))
        gains.append(round(outcome.gain, 6) if isinstance(outcome, Scored) else 0.0 if number == 0 else None)
        told = outcome.metrics if isinstance(outcome, Scored) else {}
        for column, metric in zip(values, metrics, strict=True):
            column.append(round(told[metric], 6) if metric in told else None)
    return {
        "parents": [[archive.by_commit[p].number for p in c.parents] for c in archive.candidates],
        "states": _coded(states),
        "personas": _coded(personas),
        "techniques": {"names": names, "codes": techniques},
        "gains": gains,
        "metrics": dict(zip(metrics, values, strict=True)),
        "champion": archive.champion.number if archive.champion else 0,
        "floor": archive.floor.minimum_effect if archive.floor else 0.0,
    }


def _names(reading: Reading) -> dict[str, Any]:
    return {"metrics": metrics_of(reading)}


def _coded(values: list[str]) -> dict[str, Any]:
    names = list(dict.fromkeys(values))
    places = {name: place for place, name in enumerate(names)}
    return {"names": names, "codes": [places[value] for value in values]}


def _state(number: int, outcome: Outcome | None) -> str:
    if number == 0:
        return "seed"
    return outcome.kind if outcome else "waiting"


def _gain(reading: Reading, row: Row) -> float:
    outcome = reading.archive.outcome(row.number)
    return outcome.gain if isinstance(outcome, Scored) else float("-inf")


def _pair(reading: Reading, a: int, b: int) -> dict[str, Any]:
    older, newer = reading.candidate(a), reading.candidate(b)
    table = rows.candidates(reading.archive)
    lineage = reading.lineage()
    outcomes = [reading.archive.outcome(number) for number in (a, b)]
    told = [o.metrics if isinstance(o, Scored) else {} for o in outcomes]
    gains = [
        o.gain if isinstance(o, Scored) else 0.0 if n == 0 else None for n, o in zip((a, b), outcomes, strict=True)
    ]
    return {
        "a": a,
        "b": b,
        "rows": [table[a], table[b]],
        "metrics": metric_rows(*told),
        "gain_difference": rows.signed(gains[1] - gains[0]) if gains[0] is not None and gains[1] is not None else "",
        "files": compare_trees(lineage.tree(older.commit), lineage.tree(newer.commit)),
    }
