"""A run while it goes on: a live table on a terminal, one line for each event elsewhere. Decides nothing."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evolve.cli.printing import NORMAL_95, counted, in_words, safe, verdict_in_words

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

    from evolve.archive import Archive
    from evolve.contracts import Attempt, Scored
    from evolve.journal import Record
    from evolve.loop import Settings

SHOWN = 8
BUSY_SHOWN = 8
BAR_COLUMNS = 40


class Live:
    """Follows a loop through its observer and the judge's reports; a context that draws while it is open."""

    def __init__(self, screen: Console, *, plain: bool, seconds: Callable[[], float] = time.monotonic) -> None:
        self._screen, self._plain, self._seconds = screen, plain, seconds
        self._began = seconds()
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

            self._drawing = Drawing(get_renderable=self._picture, console=self._screen, refresh_per_second=4)
            self._drawing.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Draws for the last time and gives the cursor back; may be called twice."""
        drawing, self._drawing = self._drawing, None
        if drawing is not None:
            with self._lock:
                self._activity.clear()
            drawing.stop()

    def abandon(self) -> None:
        """Gives the cursor back and no more: for a signal handler, which may have interrupted any lock's holder."""
        if self._drawing is not None:
            os.write(sys.stdout.fileno(), b"\x1b[?25h\n")

    def say(self, line: str) -> None:
        """Prints a line of markup, above the table where one is drawn."""
        self._screen.print(line)

    def on_report(self, number: int, line: str) -> None:
        """Takes a line of progress from the judge; called from several threads."""
        with self._lock:
            self._activity[number] = line
        if self._plain:
            self._line(f"[dim]#{number} {safe(line)}[/]")

    def on_record(self, record: Record) -> None:
        """Takes a record that was just written and applied."""
        waiting = {p.candidate.number for p in self._archive.pending} if self._archive else set[int]()
        with self._lock:
            self._activity = {number: line for number, line in self._activity.items() if number in waiting}
        if self._plain and (line := self._event(record)):
            self._line(line)

    def _line(self, line: str) -> None:
        self._screen.print(f"[dim]{self._seconds() - self._began:7.1f} s[/]  {line}", soft_wrap=True)

    def _event(self, record: Record) -> str:
        body, archive = record.body, self._archive
        if record.kind == "floor":
            return (
                f"seed {safe(body['metric'])} {body['score']:.4f}; {body['seeds']} training seeds differ by sd "
                f"{body['seed_sd']:.4f}, and nothing below {body['minimum_effect']:.4f} is called a difference"
            )
        if record.kind == "judged" and archive:
            return f"{_in_a_line(archive.attempts[-1], archive)}  [dim]{len(archive.attempts)} of {self._budget}[/]"
        if record.kind == "refused":
            technique = safe(body["proposal"]["technique"], width=40)
            return f"[dim]{technique} refused by the {safe(body['gate'])} gate: {safe(body['reason'], width=100)}[/]"
        if record.kind == "confirmed":
            end = "is the new champion" if body["promoted"] else "is not confirmed"
            return f"[bold]#{body['number']} {end}[/]: {safe(body['verdict']['reason'], width=120)}"
        return ""

    # --- the picture on a terminal -----------------------------------------------------------

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            busy = sorted(self._activity.items())[:BUSY_SHOWN]
        lines = Text("\n".join(f"  #{number} {line}" for number, line in busy), style="cyan", overflow="ellipsis")
        lines.no_wrap = True
        parts: list[Any] = [self._last_ones(), lines, self._progress(), Text.from_markup(self._standing())]
        return Group(*(part for part in parts if part))

    def _last_ones(self) -> Table | None:
        from rich.table import Table

        archive = self._archive
        if archive is None or not archive.attempts:
            return None
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("#", "from", "technique", "move", "gain over the seed, 95 %", "verdict"):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        for attempt in archive.attempts[-SHOWN:]:
            table.add_row(*_cells(attempt, archive))
        return table

    def _progress(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        archive = self._archive
        judged = len(archive.attempts) if archive else 0
        minutes, seconds = divmod(int(self._seconds() - self._began), 60)
        said = f"{judged} of {self._budget} judged"
        if archive and archive.refusals:
            said += f", {len(archive.refusals)} refused for free"
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, self._budget), completed=judged, width=BAR_COLUMNS)
        row.add_row(bar, f"{said}  [dim]{minutes}:{seconds:02d}[/]")
        return row

    def _standing(self) -> str:
        archive = self._archive
        if archive is None or archive.champion is None or archive.floor is None:
            return "measuring the seed and the noise floor"
        floor, looks = archive.floor, archive.confirmations
        scored = [(a.candidate.number, a.outcome) for a in archive.attempts if a.outcome.kind == "scored"]
        words = [f"seed {safe(floor.metric)} {floor.score:.4f}"]
        if scored:
            number, best = max(scored, key=lambda pair: pair[1].gain)
            words.append(f"best so far #{number} {_gain(best)}")
        crown = f"champion [bold]#{archive.champion.number}[/]"
        outcome = archive.outcome(archive.champion.number)
        if outcome is not None and outcome.kind == "scored":
            crown += f" {_gain(outcome)}"
        promoted = sum(c.promoted for c in looks)
        words.append(f"{crown}, {promoted} confirmed in {counted(len(looks), 'look')}")
        return "  [dim]|[/]  ".join(words)


def _gain(outcome: Scored) -> str:
    return f"{outcome.gain:+.4f} ± {NORMAL_95 * outcome.standard_error:.4f}"


def _parents(attempt: Attempt, archive: Archive) -> str:
    return " ".join(f"#{archive.by_commit[p].number}" for p in attempt.proposal.parents)


def _cells(attempt: Attempt, archive: Archive) -> tuple[str, ...]:
    outcome = attempt.outcome
    return (
        f"#{attempt.candidate.number}",
        _parents(attempt, archive),
        safe(attempt.proposal.technique, width=32),
        str(attempt.proposal.move),
        in_words(outcome),
        verdict_in_words(outcome.verdict) if outcome.kind == "scored" else "",
    )


def _in_a_line(attempt: Attempt, archive: Archive) -> str:
    number, parents, technique, move, outcome, verdict = _cells(attempt, archive)
    return " ".join(part for part in (number, technique, f"on {parents} ({move}):", outcome, verdict) if part)
