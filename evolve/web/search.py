"""Words in a journal: the file itself is read, so that nothing is kept in memory and nothing is left out."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from evolve.errors import UsageError
from evolve.journal import join_measured
from evolve.web.site import Site

SHOWN = 100
PLACES = 3
AROUND = 90
"""Characters on each side of what was found."""
LONGEST = 200


class SearchPages:
    """The search of one run's journal."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def search(self, request: Request) -> Response:
        """Records that hold the words, the latest first."""
        query = request.query_params.get("q", "").strip()
        if len(query) > LONGEST:
            raise UsageError(f"expected at most {LONGEST} characters to search for, found {len(query)}")
        reading = self._site.shelf.reading(request.path_params["run"])
        found, cut = search(reading.folder.journal, query) if query else ([], False)
        with reading.lock:
            about = self._site.about(reading, "search", "Search", query=query, found=found, cut=cut)
        return self._site.page("search.html", about)


def search(path: Path, query: str) -> tuple[list[dict[str, Any]], bool]:
    """The latest records that hold `query` in any text, and whether there are more of them."""
    # A journal's lines are ASCII: what is not stands there escaped, and so do quotes and backslashes.
    wanted = json.dumps(query)[1:-1].lower().encode()
    kept: deque[dict[str, Any]] = deque(maxlen=SHOWN)
    cut = False
    with path.open("rb") as file:
        for line in file:
            if wanted in line.lower() and line.endswith(b"\n") and (found := _found(line, query)):
                cut = cut or len(kept) == SHOWN
                kept.append(found)
    return list(reversed(kept)), cut


def _found(line: bytes, query: str) -> dict[str, Any] | None:
    raw = json.loads(line)
    body = join_measured(raw["body"], raw["wall"]["body"])
    texts = list(_texts("", body))
    hits = [place for name, text in texts if (place := _place(name, text, query.lower()))]
    if not hits:
        return None
    candidate = body.get("number") if raw["kind"] in ("proposed", "judged", "confirmed") else None
    told = {"record": raw["n"], "kind": raw["kind"], "candidate": candidate, "at": raw["wall"]["at"]}
    return {**told, "places": hits[:PLACES]}


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, str):
        yield name, value


def _place(name: str, text: str, wanted: str) -> tuple[str, str, str, str] | None:
    """Field, what stands before, the words, what stands after; None where they are not in it."""
    at = text.lower().find(wanted)
    if at < 0:
        return None
    end = at + len(wanted)
    before, after = text[max(0, at - AROUND) : at], text[end : end + AROUND]
    return name, ("…" if at > AROUND else "") + before, text[at:end], after + ("…" if len(text) > end + AROUND else "")
