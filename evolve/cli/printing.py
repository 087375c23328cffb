"""Words on a terminal: safe text, rows, JSON. Text of candidates is untrusted and never reaches the terminal raw."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from evolve.contracts import Outcome, Verdict

COLOURS = {"scored": "green", "rejected": "yellow", "failed": "red", "timed_out": "magenta", "cheated": "bold red"}
NORMAL_95 = 1.96
WIDTH_OF_FILES = 160
"""Columns where standard output is a file or a pipe and COLUMNS is not set: lines are for tools, not for wrapping."""


def console() -> Console:
    """A console for standard output that does not guess at emphasis."""
    from rich.console import Console

    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, emoji=False, width=WIDTH_OF_FILES if piped else None)


def clean(text: str) -> str:
    """`text` without what a terminal would obey: control characters, escape sequences, reversed writing."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def safe(text: str, *, width: int = 0) -> str:
    """`text`, clean and with rich's markup escaped; on one line of at most `width` columns where it is given."""
    from rich.markup import escape

    return escape(short(text, width) if width else clean(text))


def painter() -> Callable[[str, str], str]:
    """What colours a text on a terminal, with none of rich's work: for listings of ten thousand lines."""
    screen = console()
    if not screen.is_terminal or screen.no_color:
        return lambda text, style: text
    codes = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35"}
    return lambda text, style: f"\x1b[{';'.join(codes[word] for word in style.split())}m{text}\x1b[0m"


def short(text: str, width: int) -> str:
    """`text`, clean, on one line of at most `width` columns."""
    plain = " ".join(clean(text).split())
    return plain if len(plain) <= width else plain[: width - 1] + "…"


def print_json(value: Any) -> None:
    """One JSON value on standard output, in ASCII: no character of it can steer a terminal."""
    print(json.dumps(value, indent=1))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, screen: Any = None) -> None:
    """A table; cells are rich markup already made safe."""
    from rich.table import Table

    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
        show_header=any(columns),
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    (screen or console()).print(table)


def in_words(outcome: Outcome) -> str:
    """An outcome in one line of markup; a gain comes with the half-width of its 95 % interval."""
    colour = COLOURS[outcome.kind]
    if outcome.kind == "scored":
        half = NORMAL_95 * outcome.standard_error
        return f"[{colour}]{outcome.gain:+.4f}[/] ± {half:.4f} at {safe(outcome.rung)}"
    return f"[{colour}]{outcome.kind.replace('_', ' ')}[/]: {safe(outcome.reason, width=90)}"


def verdict_in_words(verdict: Verdict | None) -> str:
    """A verdict in one word, coloured."""
    if verdict is None:
        return ""
    colour = {"better": "bold green", "worse": "red", "undecided": "dim"}[verdict.decision]
    return f"[{colour}]{verdict.decision}[/]"


def interval(verdict: Verdict) -> str:
    """The effect of a verdict with its interval and level, as markup."""
    level = f"{100 * (1 - verdict.alpha):.4g} %"
    return f"{verdict.effect:+.4f} \\[{verdict.low:+.4f}, {verdict.high:+.4f}] in {safe(verdict.metric)} at {level}"


def numbers(row: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """The named numbers of a row, four digits each, a dash where one is missing."""
    return [f"{row[name]:.4f}" if name in row else "–" for name in names]


def counted(count: int, noun: str) -> str:
    """`1 look`, `2 looks`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
