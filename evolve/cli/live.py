"""A run while it goes on: a live table on a terminal, one line for each event elsewhere. Decides nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from evolve.cli.printing import in_words, safe, verdict_in_words
from evolve.journal import Record

if TYPE_CHECKING:
    from rich.console import Console, Group

    from evolve.archive import Archive
    from evolve.contracts import Attempt
    from evolve.loop import Settings

SHOWN = 10


class Live:
    """Follows a loop through its observer and the judge's reports; a context that draws while it is open."""

    def __init__(self, screen: Console, *, plain: bool) -> None:
        self._screen, self._plain = screen, plain
        self._archive: Archive | None = None
        self._budget = 0
        self._activity: dict[int, str] = {}
        self._lock = threading.Lock()
        self._drawing: Any = None

    def follow(self, archive: Archive, settings: Settings) -> None:
        """Says whose state is shown."""
        self._archive, self._budget = archive, settings.budget

    def __enter__(self) -> Live:
        if not self._plain:
            from rich.live import Live as Drawing

            self._drawing = Drawing(get_renderable=self._table, console=self._screen, refresh_per_second=4)
            self._drawing.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._drawing is not None:
            self._drawing.__exit__(*error)

    def on_report(self, number: int, line: str) -> None:
        """Takes a line of progress from the judge; called from several threads."""
        with self._lock:
            self._activity[number] = line
        if self._plain:
            self._screen.print(f"[dim]  #{number} {safe(line)}[/]")

    def on_record(self, record: Record) -> None:
        """Takes a record that was just written and applied."""
        body = record.body
        if record.kind in {"judged", "floor"}:
            with self._lock:
                self._activity.pop(body.get("number", 0), None)
        if self._plain and (line := self._event(record)):
            self._screen.print(line)

    def _event(self, record: Record) -> str:
        body, archive = record.body, self._archive
        if record.kind == "floor":
            return (
                f"seed {body['metric']} {body['score']:.4f}, {body['seeds']} training seeds differ by sd "
                f"{body['seed_sd']:.4f}; nothing below {body['minimum_effect']:.4f} is called a difference"
            )
        if record.kind == "judged" and archive:
            return _row_text(archive.attempts[-1])
        if record.kind == "refused":
            return f"[dim]refused by the {body['gate']} gate: {safe(body['reason'], width=100)}[/]"
        if record.kind == "confirmed":
            end = "is the new champion" if body["promoted"] else "is not confirmed"
            return f"[bold]#{body['number']} {end}[/]: {safe(body['verdict']['reason'])}"
        return ""

    def _table(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        archive = self._archive
        attempts = archive.attempts if archive else []
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("#", "parents", "technique", "outcome", "verdict"):
            table.add_column(column, no_wrap=column != "outcome")
        for attempt in attempts[-SHOWN:]:
            table.add_row(*_cells(attempt, archive))
        with self._lock:
            busy = [f"#{number} {line}" for number, line in list(self._activity.items())[-4:]]
        bar = ProgressBar(total=max(1, self._budget), completed=len(attempts), width=40)
        return Group(table, Text("\n".join(busy), style="dim"), bar, Text(self._standing(), style="bold"))

    def _standing(self) -> str:
        archive = self._archive
        if archive is None or archive.champion is None or archive.floor is None:
            return "measuring the seed and the noise floor"
        done = f"{len(archive.attempts)} of {self._budget}"
        return f"{done} | champion #{archive.champion.number} | {len(archive.confirmations)} looks at unseen users"


def _cells(attempt: Attempt, archive: Archive | None) -> tuple[str, ...]:
    parents = [archive.by_commit[p].number for p in attempt.proposal.parents] if archive else []
    verdict = getattr(attempt.outcome, "verdict", None)
    return (
        str(attempt.candidate.number),
        " ".join(f"#{number}" for number in parents),
        safe(attempt.proposal.technique, width=34),
        in_words(attempt.outcome),
        verdict_in_words(verdict),
    )


def _row_text(attempt: Attempt) -> str:
    verdict = verdict_in_words(getattr(attempt.outcome, "verdict", None))
    return f"#{attempt.candidate.number} {safe(attempt.proposal.technique)}: {in_words(attempt.outcome)} {verdict}"
