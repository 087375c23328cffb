"""Technique cards: Markdown with a TOML front matter becomes a `Technique`.

Reads and checks one card's form: its keys, its headings, that its code is Python. Does not know any tree, so it can't
say whether an anchor stands anywhere. A broken card is the author's mistake and raises `UsageError` with file and line.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evolve.contracts import Edit, Observable, Persona, Technique
from evolve.errors import UsageError
from evolve.syntax import parsed

FENCE = "+++"
HEADING = re.compile(r"^## +(?P<action>\w+) +(?P<place>\S+) *$")
SLOT = re.compile(r"^[\w./-]+::[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$")
FORM = "`## replace|before|after FILE::NAME` or `## import FILE`"


class _Front(BaseModel):
    """The front matter's keys."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    persona: str
    paper: str = Field(min_length=1)
    hypothesis: str = Field(min_length=1)
    mechanism: str = Field(min_length=1)
    observable: str | None = None
    direction: Literal["up", "down", "present"] | None = None
    requires: list[str] = []
    excludes: list[str] = []

    @model_validator(mode="after")
    def _whole(self) -> _Front:
        if self.persona not in tuple(Persona):
            raise ValueError(f"persona is one of {', '.join(Persona)}, not {self.persona!r}")
        if (self.observable is None) != (self.direction is None):
            raise ValueError("observable and direction come together or not at all")
        for slot in (*self.requires, *self.excludes):
            if not SLOT.match(slot):
                raise ValueError(f"a slot is written FILE::NAME, not {slot!r}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A heading and the fenced code below it; `line` is the heading's number."""

    line: int
    heading: str
    code: str
    code_line: int


def load_cards(folder: Path) -> tuple[Technique, ...]:
    """Every card of a folder, in the order of file names; none where the folder is missing.

    Raises:
        UsageError: a card is malformed.
    """
    return tuple(read_card(path) for path in sorted(folder.glob("*.md")))


def read_card(path: Path) -> Technique:
    """One card from its file, whose stem is the technique's name.

    Raises:
        UsageError: the card is malformed.
    """
    technique = parse_card(path.read_text(encoding="utf-8"), source=str(path))
    if technique.name != path.stem:
        raise _wrong(str(path), 1, f"expected name = {path.stem!r}, as the file is called; found {technique.name!r}")
    return technique


def parse_card(text: str, *, source: str) -> Technique:
    """One card from its text; `source` is what errors call it.

    Raises:
        UsageError: the card is malformed; the message begins with `source:line`.
    """
    front, body, body_line = _split(text, source)
    keys = _front(front, source)
    edits = tuple(_edit(block, source) for block in _blocks(body, body_line, source))
    if not edits:
        raise _wrong(source, body_line, f"expected at least one edit, {FORM}; found none")
    observable = None
    if keys.observable is not None and keys.direction is not None:
        observable = Observable(name=keys.observable, direction=keys.direction)
    return Technique(
        name=keys.name,
        title=keys.title,
        persona=Persona(keys.persona),
        paper=keys.paper,
        hypothesis=keys.hypothesis,
        mechanism=keys.mechanism,
        observable=observable,
        edits=edits,
        requires=tuple(keys.requires),
        excludes=tuple(keys.excludes),
    )


def _split(text: str, source: str) -> tuple[str, list[str], int]:
    """Front matter, the lines after it, and the number of the first of them."""
    lines = text.split("\n")
    marks = [index for index, line in enumerate(lines) if line.rstrip() == FENCE][:2]
    if len(marks) < 2 or marks[0] != 0:
        raise _wrong(source, 1, "expected TOML between two lines `+++` at the top of the card")
    return "\n".join(lines[1 : marks[1]]), lines[marks[1] + 1 :], marks[1] + 2


def _front(front: str, source: str) -> _Front:
    try:
        return _Front.model_validate(tomllib.loads(front))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) + 1 if found else 1
        raise _wrong(source, line, f"expected TOML in the front matter; found: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        place = next((i for i, line in enumerate(front.split("\n"), 2) if key and line.startswith(key)), 1)
        words = f"expected keys {', '.join(_Front.model_fields)}; found {key + ': ' if key else ''}{first['msg']}"
        raise _wrong(source, place, words) from error


def _blocks(lines: list[str], first_line: int, source: str) -> Iterator[_Block]:
    """Headings with their code; prose between them is for people and is skipped."""
    heading: tuple[int, str] | None = None
    index = 0
    while index < len(lines):
        number, line = first_line + index, lines[index]
        if line.startswith("```"):
            end = next((i for i in range(index + 1, len(lines)) if lines[i].rstrip() == "```"), None)
            if end is None:
                raise _wrong(source, number, "expected a closing ``` for the code that begins here; found none")
            if heading is None:
                raise _wrong(source, number, f"expected a heading before the code: {FORM}")
            code = "\n".join(lines[index + 1 : end]) + "\n"
            yield _Block(line=heading[0], heading=heading[1], code=code, code_line=number + 1)
            heading, index = None, end
        elif line.startswith("## "):
            if heading is not None:
                raise _wrong(source, heading[0], "expected fenced code below the heading; found the next heading")
            heading = number, line
        index += 1
    if heading is not None:
        raise _wrong(source, heading[0], "expected fenced code below the heading; found the end of the card")


def _edit(block: _Block, source: str) -> Edit:
    found = HEADING.match(block.heading)
    if not found:
        raise _wrong(source, block.line, f"expected {FORM}; found {block.heading!r}")
    try:
        statements = parsed(block.code).body
    except SyntaxError as error:
        line = block.code_line + (error.lineno or 1) - 1
        raise _wrong(source, line, f"expected Python code; found: {error.msg}") from error
    if not statements:
        raise _wrong(source, block.code_line, "expected at least one statement; found no code")
    action, place = found["action"], found["place"]
    if action == "import":
        if "::" in place or not all(isinstance(node, ast.Import | ast.ImportFrom) for node in statements):
            raise _wrong(source, block.line, "expected `## import FILE` with import statements alone")
        return Edit(path=place, action="import", anchor="", code=block.code)
    if action not in ("replace", "before", "after") or not SLOT.match(place):
        raise _wrong(source, block.line, f"expected {FORM}; found {block.heading!r}")
    path, anchor = place.split("::")
    return Edit(path=path, action=action, anchor=anchor, code=block.code)


def _wrong(source: str, line: int, words: str) -> UsageError:
    return UsageError(f"{source}:{line}: {words}", hint="Correct the technique card and run the command again.")
