"""What every page needs: templates with their filters, the runs, and how an answer is made. Knows no page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.responses import HTMLResponse

from evolve.contracts import Clock
from evolve.report.rows import signed
from evolve.web.readings import Reading, Shelf


class Site:
    """Makes pages out of templates. Texts are escaped by default: nothing of a stranger's is markup."""

    def __init__(self, runs: Path, clock: Clock) -> None:
        from jinja2 import Environment, PackageLoader, StrictUndefined

        self.shelf, self.clock = Shelf(runs), clock
        self._pages = Environment(
            loader=PackageLoader("evolve.web", "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, finalize=clean,
        )  # fmt: skip
        self._pages.filters |= self._filters()

    def page(self, template: str, context: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
        """A whole page, or a part of one."""
        named = {"run": "", "here": "", "title": "Runs", **context}
        return HTMLResponse(self._pages.get_template(template).render(named), status_code=status)

    def about(self, reading: Reading, here: str, title: str, **more: Any) -> dict[str, Any]:
        """The context that all pages of a run have."""
        from evolve.review.pulls import pulls

        waiting = sum(found.state == "open" for found in pulls(reading.archive))
        name = reading.folder.name
        return {"run": name, "here": here, "title": f"{title} · {name}", "open_pulls": waiting, **more}

    def _ago(self, at: float) -> str:
        return ago(self.clock.now() - at)

    def _filters(self) -> dict[str, Callable[..., str]]:
        return {
            "signed": signed,
            "path": _path,
            "query": _query,
            "ago": self._ago,
            "clock": _clock,
            "duration": duration,
        }


def clean(value: Any) -> Any:
    """A text without control characters and reversed writing, which would show another text than what is there."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(c for c in value if c in "\n\t" or c.isprintable())


def _path(name: str) -> str:
    return quote(name, safe="")


def _query(values: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in values.items() if value != ""})


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = max(0, round(seconds))
    for size, name, smaller, short in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {short}" if rest else "")
    return f"{whole} s"


def ago(seconds: float) -> str:
    """How long ago, in one unit."""
    if seconds < 5:
        return "just now"
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"
