"""The list of runs, and one run while it goes on. The page is drawn here; the browser only asks for it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from evolve.archive import Archive
from evolve.contracts import Scored
from evolve.errors import RunError
from evolve.report import rows
from evolve.review.pulls import pulls
from evolve.run_folder import RunFolder
from evolve.web import charts
from evolve.web.readings import Reading
from evolve.web.site import Site

EVENTS_SHOWN = 24
LOOK_EVERY_S = 0.5
QUIET_S = 15.0
"""After so long without news a line goes out all the same, so that a browser that left is noticed."""
RUNS_SHOWN = 60


class LivePages:
    """Pages that move while they are looked at."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, tuple[object, dict[str, Any]]] = {}

    def runs(self, request: Request) -> Response:
        """Every run, the newest first."""
        found = list(self._rows())
        return self._site.page("runs.html", {"rows": found})

    def run(self, request: Request) -> Response:
        """One run, whole."""
        reading = self._site.shelf.reading(request.path_params["run"])
        with reading.lock:
            about = self._site.about(reading, "live", "Run", **self._context(reading))
            return self._site.page("run.html", about)

    def part(self, request: Request) -> Response:
        """What moves of a run's page."""
        reading = self._site.shelf.reading(request.path_params["run"])
        with reading.lock:
            return self._site.page("live.html", {"run": reading.folder.name, **self._context(reading)})

    async def events(self, request: Request) -> Response:
        """A line whenever the journal has grown or the run has changed its state."""
        reading = await run_in_threadpool(self._site.shelf.reading, request.path_params["run"])
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(self._news(reading.folder, request), media_type="text/event-stream", headers=headers)

    async def _news(self, folder: RunFolder, request: Request) -> AsyncGenerator[str]:
        seen: tuple[int, bool] | None = None
        quiet_s = 0.0
        while not await request.is_disconnected():
            size = folder.journal.stat().st_size if folder.journal.exists() else 0
            now = (size, folder.is_held())
            if now != seen:
                yield f"data: {json.dumps({'bytes': size, 'running': now[1]})}\n\n"
                seen, quiet_s = now, 0.0
            elif quiet_s >= QUIET_S:
                yield ": still here\n\n"
                quiet_s = 0.0
            await asyncio.sleep(LOOK_EVERY_S)
            quiet_s += LOOK_EVERY_S

    def _rows(self) -> Iterator[dict[str, Any]]:
        for folder in self._site.shelf.folders()[:RUNS_SHOWN]:
            now = (folder.journal.stat().st_size, folder.is_held())
            if folder.name not in self._known or self._known[folder.name][0] != now:
                self._known[folder.name] = (now, self._row(folder))
            yield self._known[folder.name][1]

    def _row(self, folder: RunFolder) -> dict[str, Any]:
        try:
            reading = self._site.shelf.reading(folder.name)
        except RunError as error:
            return {"name": folder.name, "problem": error.message}
        with reading.lock:
            return _row(reading)

    def _context(self, reading: Reading) -> dict[str, Any]:
        archive, now = reading.archive, self._site.clock.now()
        settings, outcome = archive.settings, rows.champion_outcome(archive)
        judged, budget = len(archive.attempts), max(settings.get("budget", 0), len(archive.attempts))
        stages = charts.funnel(archive)
        metrics, table = rows.final_table(archive)
        best = max(_scored(archive), key=lambda pair: pair[1].gain, default=None)
        return {
            "archive": archive,
            "settings": settings,
            "state": reading.state(),
            "took": now - reading.began_at,
            "judged": judged,
            "budget": budget,
            "share": round(100 * judged / max(1, budget), 2),
            "champion": archive.champion.number if archive.champion else 0,
            "champion_gain": f"{rows.within(outcome)} over the seed in the search" if outcome else "",
            "best": f"#{best[0]}" if best else "",
            "best_note": f"{rows.within(best[1])}, chosen as the best of {judged}" if best else "",
            "looks": len(archive.confirmations),
            "promoted": len(archive.promoted),
            "alpha_spent": sum(look.verdict.alpha for look in archive.confirmations),
            "cpu_s": sum(rows.cpu_seconds(archive).values()),
            "tokens": sum(a.proposal.tokens for a in archive.attempts),
            "cost_usd": sum(a.proposal.cost_usd for a in archive.attempts),
            "wide": charts.progress(archive),
            "narrow": charts.progress(archive, width=400, height=280),
            "flying": _flying(reading, now),
            "stages": stages,
            "kinds": list(dict.fromkeys(kind for stage in stages for kind, *_ in stage.parts)),
            "events": list(reversed(reading.events))[:EVENTS_SHOWN],
            "final_metrics": metrics,
            "final_rows": table,
        }


def _scored(archive: Archive) -> list[tuple[int, Scored]]:
    return [(a.candidate.number, a.outcome) for a in archive.attempts if isinstance(a.outcome, Scored)]


def _flying(reading: Reading, now: float) -> list[dict[str, Any]]:
    """What waits for its outcome; the first ones are with the workers."""
    return [
        {
            "number": waiting.candidate.number,
            "technique": waiting.proposal.technique,
            "since": now - reading.proposed_at.get(waiting.candidate.number, now),
        }
        for waiting in reading.archive.pending
    ]


def _row(reading: Reading) -> dict[str, Any]:
    archive, settings = reading.archive, reading.archive.settings
    found = pulls(archive)
    outcome = rows.champion_outcome(archive)
    return {
        "name": reading.folder.name,
        "problem": "",
        "state": reading.state(),
        "space": settings.get("space", "?"),
        "seed": settings.get("seed", "?"),
        "proposer": settings.get("proposer", "?"),
        "sandbox": settings.get("sandbox", "?"),
        "at": reading.last_at,
        "spark": charts.spark(archive),
        "judged": len(archive.attempts),
        "budget": max(settings.get("budget", 0), len(archive.attempts)),
        "champion": archive.champion.number if archive.champion else 0,
        "gain": rows.signed(outcome.gain) if outcome else "",
        "open": sum(one.state == "open" for one in found),
        "pulls": len(found),
    }
