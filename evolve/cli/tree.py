"""A lineage as lines of text: a tree with guides, drawn without recursion, since a lineage may be thousands deep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evolve.index import Row

MOST_GUIDES = 20
"""Deeper than this, only the nearest guides are drawn, after the number of those that are not."""
BELOW = {"": "", "├── ": "│   ", "└── ": "    "}


def drawn(rows: Iterable[Row], label: Callable[[Row], str]) -> Iterator[str]:
    """A line for each candidate, under the one that it changes."""
    children: defaultdict[int, list[Row]] = defaultdict(list)
    roots: list[Row] = []
    for row in rows:
        (children[row.parents[0]] if row.parents else roots).append(row)
    left: list[tuple[Row, int, tuple[str, ...], str]] = [(root, 0, (), "") for root in reversed(roots)]
    while left:
        row, hidden, guides, branch = left.pop()
        yield f"{f'({hidden}) ' if hidden else ''}{''.join(guides)}{branch}{label(row)}"
        below = (*guides, BELOW[branch])
        hidden, below = hidden + max(0, len(below) - MOST_GUIDES), below[-MOST_GUIDES:]
        own = children[row.number]
        left += [(child, hidden, below, "├── " if child is not own[-1] else "└── ") for child in reversed(own)]
