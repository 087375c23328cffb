"""Pull requests in the browser: the same reviews as `evolve pr`, through the same code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from evolve.errors import EvolveError, UsageError
from evolve.review.body import body
from evolve.review.opened import Opened, Shown, at_desk
from evolve.review.pulls import Pull, pull, pulls, standing
from evolve.web.diffs import compare
from evolve.web.look import number_in
from evolve.web.readings import Reading
from evolve.web.site import Site

SAID = {
    "approve": "It is merged: main holds it now.",
    "reject": "It is rejected; a proposer reads the reason.",
    "comment": "The remark is kept.",
    "rollback": "It is rolled back: main is what it was before.",
}


class DeskPages:
    """The list, one pull request, and what a person decides on it."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def pulls(self, request: Request) -> Response:
        """Every pull request, the newest first."""
        reading = self._site.shelf.reading(request.path_params["run"])
        with reading.lock:
            table = [_row(reading, one) for one in reversed(pulls(reading.archive))]
            context = {"rows": table, "main": _main(reading)}
            return self._site.page("pulls.html", self._site.about(reading, "pulls", "Pull requests", **context))

    def pull(self, request: Request) -> Response:
        """One pull request."""
        done = SAID.get(request.query_params.get("done", ""), "")
        return self._page(request, done=done)

    async def decide(self, request: Request) -> Response:
        """Approves, rejects, comments or rolls back, then shows the pull request again."""
        form = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=10)
        what, text = form.get("what", [""])[0], form.get("text", [""])[0].strip()
        return await run_in_threadpool(self._decided, request, what, text)

    def _decided(self, request: Request, what: str, text: str) -> Response:
        reading = self._site.shelf.reading(request.path_params["run"])
        number = number_in(request.path_params["number"], "pull request")
        try:
            with at_desk(reading.folder, self._site.clock) as run:
                _decision(run, what)(number, text)
                said = run.desk.said_of_target
        except EvolveError as error:
            return self._page(request, problem=str(error), text=text, status=409)
        if said:  # what became of it in the user's own repository is told once, and by nobody else
            return self._page(request, done=f"{SAID[what]} {said[0].upper()}{said[1:]}.")
        where = f"/runs/{quote(reading.folder.name, safe='')}/pulls/{number}?done={what}"
        return RedirectResponse(where, status_code=303)

    def _page(
        self, request: Request, *, done: str = "", problem: str = "", text: str = "", status: int = 200
    ) -> Response:
        reading = self._site.shelf.reading(request.path_params["run"])
        number = number_in(request.path_params["number"], "pull request")
        said = {"done": done, "problem": problem, "text": text}
        with reading.lock:
            about = self._site.about(reading, "pulls", f"Pull request {number}", **said)
            return self._site.page("pull.html", {**about, **self._context(reading, number)}, status=status)

    def _context(self, reading: Reading, number: int) -> dict[str, Any]:
        run = Shown(folder=reading.folder, archive=reading.archive, lineage=reading.lineage())
        found = pull(run.archive, number)
        base, head = run.ends(number)
        if not head:  # whoever promoted it was ended before the branch was made
            with at_desk(reading.folder, self._site.clock) as more:
                base, head = more.ends(number)
        return {
            "pull": found,
            "attributed": any(review.kind == "attributed" for review in found.reviews),
            "technique": _technique(reading, found),
            "hypothesis": _title(reading, found),
            "body": rendered(_without_head(body(run.archive, found, run.folder.name, run.unseen(found)))),
            "files": compare(run.lineage.tree(base), run.lineage.tree(head)),
        }


def rendered(text: str) -> Markup:
    """Markdown as HTML, without links, pictures or HTML of its own: a stranger may have written parts of it."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
    reader.disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
    return Markup(reader.render(text))  # noqa: S704 - every text in it was escaped by the renderer


def _decision(run: Opened, what: str) -> Callable[[int, str], Any]:
    known = {
        "approve": run.desk.approve,
        "reject": run.desk.reject,
        "comment": run.desk.comment,
        "rollback": run.desk.roll_back,
    }
    if what not in known:
        raise UsageError(f"expected one of {', '.join(known)}, found `{what[:40]}`")
    return known[what]


def _without_head(text: str) -> str:
    """The page has its title above already."""
    return text[max(0, text.find("\n## ")) :]


def _technique(reading: Reading, found: Pull) -> str:
    proposal = reading.proposal(found.candidate)
    return proposal.technique if proposal else ""


def _title(reading: Reading, found: Pull) -> str:
    proposal = reading.proposal(found.candidate)
    return proposal.hypothesis if proposal else ""


def _main(reading: Reading) -> str:
    """What the branch `main` holds, in words."""
    merged = standing(reading.archive)
    if not merged:
        return "the seed"
    return f"candidate #{pull(reading.archive, merged[-1].pull).candidate}, of pull request {merged[-1].pull}"


def _row(reading: Reading, found: Pull) -> dict[str, Any]:
    return {
        "number": found.number,
        "state": found.state,
        "technique": _technique(reading, found),
        "hypothesis": _title(reading, found),
        "candidate": found.candidate,
        "against": found.look.against,
        "steps": len(found.steps),
        "verdict": found.look.verdict,
        "remarks": sum(review.kind == "commented" for review in found.reviews),
    }
