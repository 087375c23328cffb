"""The words of this package: one change that an answer asks for, and why an answer was refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evolve.contracts import Tree


class DiffFault(StrEnum):
    """Why an answer's diff was refused; counted by these kinds."""

    NO_DIFF = "no_diff"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNKNOWN_PATH = "unknown_path"
    NOT_EDITABLE = "not_editable"
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"
    INDENTATION = "indentation"
    NO_OP = "no_op"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The answer was not applied; `message` says what was expected, what was found and what to do."""

    fault: DiffFault
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The new text of every file that differs from the tree."""

    files: Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Lines to look for and the lines to put in their place; `path` is None where the answer names no file.

    `label` is how messages call it: `block 2`.
    """

    label: str
    path: str | None
    search: tuple[str, ...]
    replace: tuple[str, ...]
