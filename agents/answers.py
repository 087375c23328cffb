"""Reads a model's answer: a proposal's words and its diff, or the wish to use a tool. Tolerant of what surrounds them.

Takes a JSON object with the diff inside it, a JSON object followed by the diff, or lines of `hypothesis: ...`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolve.contracts import Observable

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "the idea in one to four words"},
            "hypothesis": {"type": "string"},
            "mechanism": {"type": "string"},
            "observable": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "direction": {"enum": ["up", "down", "present"]}},
                "required": ["name", "direction"],
            },
            "move": {"enum": ["explore", "exploit", "innovate"]},
            "diff": {"type": "string", "description": "SEARCH/REPLACE blocks or a unified diff"},
            "tool": {"type": "string"},
            "arguments": {"type": "object"},
        },
    }
)
KEYS = ("name", "hypothesis", "mechanism", "observable", "move", "diff", "tool")
LINE = re.compile(r"\W{0,4}(name|hypothesis|mechanism|observable|move)\W{0,4}:\W{0,3}\s*(.+)", re.IGNORECASE)
THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL)
BLOCK = re.compile(r"^(?:<{5,9}\s*SEARCH|@@|--- )", re.MULTILINE)
LONGEST_WORDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposal as the model wrote it. `diff` is the text in which a diff is sought."""

    name: str
    hypothesis: str
    mechanism: str
    observable: Observable | None
    move: str
    diff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The wish to use a tool."""

    tool: str
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])


def read_answer(text: str) -> Draft | ToolCall:
    """The answer's parts; what is missing is empty."""
    text = THOUGHTS.sub("", text).replace("\r\n", "\n")
    found, start, end = _object(text)
    if not found:
        found, start, end = _lines(text), 0, 0
    if found.get("tool") and not found.get("diff"):
        arguments: Any = found.get("arguments")
        pairs = arguments if isinstance(arguments, Mapping) else {}
        return ToolCall(tool=str(found["tool"]), arguments={str(k): str(v) for k, v in pairs.items()})
    inside = found.get("diff")
    return Draft(
        name=_words(found, "name"),
        hypothesis=_words(found, "hypothesis"),
        mechanism=_words(found, "mechanism"),
        observable=_observable(found.get("observable")),
        move=_words(found, "move").lower(),
        diff=inside if isinstance(inside, str) and inside.strip() else text[:start] + text[end:],
    )


def _object(text: str) -> tuple[dict[str, Any], int, int]:
    """The first JSON object with one of our keys that stands before the diff, and where it stands."""
    decoder = json.JSONDecoder(strict=False)
    first_block = BLOCK.search(text)
    limit = first_block.start() if first_block else len(text)
    at = text.find("{")
    tried = 0
    while 0 <= at < limit and tried < 20:
        tried += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value, end = None, at + 1
        if isinstance(value, dict) and any(key in value for key in KEYS):
            return value, at, end
        at = text.find("{", at + 1)
    return {}, 0, 0


def _lines(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match:
            found.setdefault(match[1].lower(), match[2].strip('*`" '))
    return found


def _words(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return " ".join(value.split())[:LONGEST_WORDS] if isinstance(value, str) else ""


def _observable(value: Any) -> Observable | None:
    """`{"name": ..., "direction": ...}` or `name up`; None where it is neither."""
    if isinstance(value, str):
        name, _, direction = value.replace(",", " ").replace("(", " ").replace(")", " ").strip().partition(" ")
        value = {"name": name, "direction": direction.strip()}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    name = value["name"].strip("`\"' ")
    match value.get("direction"):
        case "up" | "down" | "present" as direction if re.fullmatch(r"[A-Za-z_][\w.]{0,60}", name):
            return Observable(name=name, direction=direction)
        case _:
            return None
