"""Words on a terminal: safe text, rows, JSON. Text of candidates is untrusted and never reaches the terminal raw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evolve.contracts import Outcome, Scored, Verdict

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {"scored": "green", "rejected": "yellow", "failed": "red", "timed_out": "magenta", "cheated": "bold red"}


def console() -> Console:
    """A console for standard output that does not guess at emphasis."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def safe(text: str, *, width: int = 0) -> str:
    """`text` without control characters and with rich's markup escaped; cut to `width` where it is given."""
    from rich.markup import escape

    plain = "".join(c for c in text if c in "\n\t" or c.isprintable())
    if width and len(plain) > width:
        plain = plain[: width - 1] + "…"
    return escape(plain)


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; cells are rich markup already made safe."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def in_words(outcome: Outcome) -> str:
    """An outcome in one line of markup."""
    colour = COLOURS[outcome.kind]
    if isinstance(outcome, Scored):
        half = 1.96 * outcome.standard_error
        return f"[{colour}]{outcome.gain:+.4f}[/] ± {half:.4f} at {outcome.rung}"
    return f"[{colour}]{outcome.kind.replace('_', ' ')}[/]: {safe(outcome.reason, width=90)}"


def verdict_in_words(verdict: Verdict | None) -> str:
    """A verdict in one word, coloured."""
    if verdict is None:
        return ""
    colour = {"better": "bold green", "worse": "red", "undecided": "dim"}[verdict.decision]
    return f"[{colour}]{verdict.decision}[/]"


def numbers(row: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """The named numbers of a row, four digits each, a dash where one is missing."""
    return [f"{row[name]:.4f}" if name in row else "–" for name in names]
