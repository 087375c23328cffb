"""Addresses to pages. Knows which page answers what, and how an error is shown; decides nothing."""

from __future__ import annotations

from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evolve.errors import EvolveError, UsageError
from evolve.web.desk import DeskPages
from evolve.web.live import LivePages
from evolve.web.look import LookPages
from evolve.web.search import SearchPages
from evolve.web.site import Site

STATIC = {
    "style.css": "text/css",
    "code.css": "text/css",
    "live.js": "text/javascript",
    "keys.js": "text/javascript",
    "lineage.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def application(site: Site) -> Starlette:
    """The pages over a folder of runs. Whoever serves it must guard it."""
    live, look, desk, search = LivePages(site), LookPages(site), DeskPages(site), SearchPages(site)
    run = "/runs/{run}"
    routes = [
        Route("/", live.runs),
        Route("/static/{name}", static),
        Route(run, live.run),
        Route(f"{run}/part", live.part),
        Route(f"{run}/events", live.events),
        Route(f"{run}/lineage", look.lineage),
        Route(f"{run}/lineage.json", look.lineage_data),
        Route(f"{run}/candidates", look.candidates),
        Route(f"{run}/candidates/{{number}}", look.candidate),
        Route(f"{run}/compare", look.compare),
        Route(f"{run}/techniques", look.techniques),
        Route(f"{run}/experiments", look.experiments),
        Route(f"{run}/pulls", desk.pulls),
        Route(f"{run}/pulls/{{number}}", desk.pull, methods=["GET"]),
        Route(f"{run}/pulls/{{number}}", desk.decide, methods=["POST"]),
        Route(f"{run}/search", search.search),
    ]

    async def problem(request: Request, error: Exception) -> Response:
        status, title, message, hint = _told(error)
        return site.page("problem.html", {"title": title, "message": message, "hint": hint}, status=status)

    return Starlette(routes=routes, exception_handlers={EvolveError: problem, HTTPException: problem})


def static(request: Request) -> Response:
    """One of our own files."""
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    content = resources.files("evolve.web").joinpath("static", name).read_bytes()
    return Response(content, media_type=STATIC[name])


def _told(error: Exception) -> tuple[int, str, str, str]:
    if isinstance(error, UsageError):
        return 404, "Not found", error.message, error.hint
    if isinstance(error, EvolveError):
        return 500, "It can't be shown", error.message, error.hint
    status = error.status_code if isinstance(error, HTTPException) else 500
    return status, "Not found" if status == 404 else "Not possible", "There is no such page.", ""
