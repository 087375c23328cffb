"""Runs as the pages read them: each journal is folded once and then followed. Knows no HTML and writes nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.archive import Archive
from evolve.contracts import Attempt, Candidate, Outcome, Proposal, Scored
from evolve.errors import EvolveError, RunError, UsageError
from evolve.journal import Follower, Record
from evolve.lineage import Lineage
from evolve.report.rows import signed
from evolve.reviews import REVIEWS
from evolve.run_folder import RunFolder, all_runs

EVENTS_KEPT = 60
READINGS_KEPT = 4
"""So many runs stay folded in memory; the others are read again when they are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record in a line."""

    number: int
    kind: str
    candidate: int | None
    text: str
    at: float


class Reading:
    """The state of one run. `refresh` takes what was written since; both hold the same lock."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self._follower = Follower(folder.journal)
        self.archive = Archive(self.lineage(), with_code=False)
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.references: dict[int, int] = {}
        self.proposed_at: dict[int, float] = {}
        self.began_at = self.last_at = 0.0
        self.records = 0

    def lineage(self) -> Lineage:
        """The run's git; a new one each time, since it keeps every file that it has read."""
        return Lineage(self.folder.lineage)

    def refresh(self) -> Reading:
        """Itself, with everything that the journal holds now. Raises RunError."""
        with self.lock:
            if self._follower.is_behind:
                for record in self._follower.news():
                    self.archive.apply(record)
                    self._take(record)
        if not self.archive.candidates:
            raise RunError(f"the run {self.folder.name} has no whole record yet", hint="Look again in a moment.")
        return self

    def candidate(self, number: int) -> Candidate:
        """Candidate `number`. Raises UsageError."""
        last = len(self.archive.candidates) - 1
        if not 0 <= number <= last:
            raise UsageError(f"there is no candidate {number}", hint=f"There are 0 to {last}.")
        return self.archive.candidates[number]

    def attempt(self, number: int) -> Attempt | None:
        """What came of candidate `number`; None for the seed and while it is in flight."""
        return self.archive.attempts[number - 1] if 0 < number <= len(self.archive.attempts) else None

    def proposal(self, number: int) -> Proposal | None:
        """What candidate `number` proposed; None for the seed."""
        if attempt := self.attempt(number):
            return attempt.proposal
        judged = len(self.archive.attempts)
        return self.archive.pending[number - judged - 1].proposal if number else None

    def state(self) -> str:
        """`ended`, `running` or `interrupted`."""
        if self.archive.ended:
            return "ended"
        return "running" if self.folder.is_held() else "interrupted"

    def _take(self, record: Record) -> None:
        self.records = record.number + 1
        self.last_at = record.at
        self.began_at = self.began_at or record.at
        if record.kind == "proposed":
            self.references[record.body["number"]] = record.body["reference"]
            self.proposed_at[record.body["number"]] = record.at
        elif record.kind == "judged":
            self.proposed_at.pop(record.body["number"], None)
        self.events.append(self._event(record))

    def _event(self, record: Record) -> Event:
        body = record.body
        candidate = body.get("number") if record.kind in ("proposed", "judged", "confirmed") else None
        text = in_words(record, self.archive)
        return Event(number=record.number, kind=record.kind, candidate=candidate, text=text, at=record.at)


class Shelf:
    """The runs of one folder; those that were read last stay in memory."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._lock = threading.Lock()
        self._readings: OrderedDict[str, Reading] = OrderedDict()

    def folders(self) -> list[RunFolder]:
        """Every run, the one that was written last first."""
        return sorted(all_runs(self.runs), key=lambda folder: -folder.journal.stat().st_mtime)

    def read_ahead(self, name: str) -> None:
        """Folds a run, or the newest, before anybody asks; what can't be read is said when somebody does."""
        names = [name] if name else [folder.name for folder in self.folders()[:1]]
        with suppress(EvolveError, OSError):
            for one in names:
                self.reading(one)

    def reading(self, name: str) -> Reading:
        """The state of the run of that name, now. Raises UsageError where there is none."""
        folder = next((folder for folder in all_runs(self.runs) if folder.name == name), None)
        if folder is None:
            raise UsageError(f"there is no run `{name}` in {self.runs}", hint="The first page lists those that are.")
        with self._lock:
            reading = self._readings.setdefault(name, Reading(folder))
            self._readings.move_to_end(name)
            while len(self._readings) > READINGS_KEPT:
                self._readings.popitem(last=False)
        try:
            return reading.refresh()
        except RunError:
            self._readings.pop(name, None)
            raise


def in_words(record: Record, archive: Archive) -> str:
    """What a record says, in a line; `archive` has just taken it."""
    if record.kind == "judged":
        return _outcome(archive.attempts[-1].outcome)
    if record.kind in REVIEWS:
        return f"pull request {record.body['pull']}{': ' if record.body['text'] else ''}{record.body['text']}"
    say = SAYINGS.get(record.kind)
    return say(record.body) if say else str(record.body.get("reason", ""))


def _outcome(outcome: Outcome) -> str:
    if isinstance(outcome, Scored):
        return f"{signed(outcome.gain)} at {outcome.rung}" + (", promising" if outcome.promising else "")
    return f"{outcome.kind.replace('_', ' ')}: {outcome.reason}"


def _confirmed(body: Mapping[str, Any]) -> str:
    verdict = body["verdict"]
    end = "is the new champion" if body["promoted"] else "is not confirmed"
    low, high = signed(verdict["low"]), signed(verdict["high"])
    return f"{end}: {signed(verdict['effect'])} [{low}, {high}] at unseen users"


SAYINGS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "started": lambda body: f"{body['space']}, seed {body.get('seed')}, budget {body.get('budget')}",
    "floor": lambda body: (
        f"the seed scores {body['score']:.4f}; nothing below {body['minimum_effect']:.4f} is believed"
    ),
    "proposed": lambda body: f"{body['proposal']['technique']}: {body['proposal']['hypothesis']}",
    "refused": lambda body: f"{body['proposal']['technique']}: {body['reason']}",
    "confirmed": _confirmed,
    "launched": lambda body: f"{body['experiment']}: candidate {body['challenger']} against {body['control']}",
    "decided": lambda body: f"{body['experiment']}, day {body['day']}: {body['decision'].get('reason', '')}",
    "day_ended": lambda body: f"day {body['day']}; {body['champion']} serves production",
    "final": lambda body: f"the champion against the seed, test labels: {body['verdict']['decision']}",
}
"""Kinds of records whose body says it all. A kind that is not here is told by its reason, if it has one."""
