"""What commands look up in a run, in SQLite: made from the journal and git, and made again where it is missing.

Holds where each record is and the few columns that a listing needs; a record itself is read from the journal. A run
that goes on is followed: only what was written since the last look is read, checked and added. Knows nothing of how
a run is shown. Deleting the file loses nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from evolve.archive import Confirmation, promotion
from evolve.contracts import Verdict
from evolve.errors import RunError, UsageError
from evolve.index_tables import emptied, opened
from evolve.journal import Record, join_measured, read_from
from evolve.reviews import REVIEWS, Review, ReviewKind, review_of

ROWS = """SELECT number, commit_id, parents, technique, persona, move, kind, reason, rung, gain, error
  FROM candidates WHERE number >= ? ORDER BY number"""
PROPOSED = """INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, '', '', 0.0, 0.0)"""
PROMOTED = """INSERT OR IGNORE INTO promotions VALUES (?, ?, ?, ?)"""
JUDGED = """UPDATE candidates SET judged = ?, kind = ?, reason = ?, rung = ?, gain = ?, error = ? WHERE number = ?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A candidate in one line. `kind` is None while it is in flight; the seed has no technique."""

    number: int
    commit: str
    parents: tuple[int, ...]
    technique: str
    persona: str
    move: str
    kind: str | None
    reason: str
    rung: str
    gain: float
    standard_error: float


class Index:
    """One run's index, as far as its journal goes now. Raises RunError where journal and git do not fit each other."""

    def __init__(self, journal: Path, lineage: Path, file: Path) -> None:
        self._journal, self._lineage = journal, lineage
        self._tables = opened(file)
        self._firsts: dict[int, int | None] = {}
        self._follow()

    def close(self) -> None:
        """Closes the file."""
        self._tables.close()

    # --- what is asked -------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many candidates there are, the seed included."""
        return self._one("SELECT count(*) FROM candidates")

    @property
    def champion(self) -> int:
        """The number of the search's champion."""
        return self._one("SELECT champion FROM state")

    @property
    def ended(self) -> str:
        """Why the run ended; nothing while it goes on."""
        return self._one("SELECT ended FROM state")

    @property
    def refused(self) -> int:
        """How many proposals a gate refused, for free."""
        return self._one("SELECT refused FROM state")

    @property
    def outcomes(self) -> dict[str, int]:
        """Kind of outcome -> how many, in the order in which the kinds first came."""
        asked = "SELECT kind, count(*) FROM candidates WHERE kind IS NOT NULL GROUP BY kind ORDER BY min(number)"
        return dict(self._tables.execute(asked))

    def rows(self, first: int = 0) -> Iterator[Row]:
        """Every candidate from `first` on, in order."""
        for row in self._tables.execute(ROWS, (first,)):
            number, commit, parents, technique, persona, move, kind, reason, rung, gain, error = row
            yield Row(
                number=number, commit=commit, parents=tuple(json.loads(parents)), technique=technique, persona=persona,
                move=move, kind=kind, reason=reason, rung=rung, gain=gain, standard_error=error,
            )  # fmt: skip

    def row(self, number: int) -> Row:
        """One candidate. Raises UsageError where there is none."""
        found = next(self.rows(number), None) if number >= 0 else None
        if found is None:
            raise UsageError(
                f"there is no candidate {number}", hint=f"The run has 0 to {self.count - 1}: see `evolve log`."
            )
        return found

    def first_parent(self, number: int) -> int | None:
        """The candidate that a candidate changes; None for the seed."""
        if not self._firsts:
            self._firsts = dict(self._tables.execute("SELECT number, parent FROM candidates"))
        return self._firsts[number]

    def proposed(self, number: int) -> Mapping[str, Any]:
        """The record that proposed a candidate; of the seed, the one that started the run."""
        return self._body(self._one("SELECT proposed FROM candidates WHERE number = ?", number))

    def judged(self, number: int) -> Mapping[str, Any] | None:
        """The record that judged a candidate, or None."""
        at = self._one("SELECT judged FROM candidates WHERE number = ?", number)
        return None if at is None else self._body(at)

    def other(self, kind: str) -> Mapping[str, Any] | None:
        """The last record of a kind of which a run has few: `floor`, `final`."""
        found = self._tables.execute("SELECT at FROM others WHERE kind = ? ORDER BY at DESC", (kind,)).fetchone()
        return self._body(found[0]) if found else None

    @property
    def confirmations(self) -> list[Confirmation]:
        """Every look at the confirmation split, in order."""
        asked = self._tables.execute("SELECT number, against, promoted, verdict FROM looks ORDER BY rowid")
        return [
            Confirmation(number=n, against=a, promoted=bool(p), verdict=Verdict(**json.loads(v)))
            for n, a, p, v in asked
        ]

    @property
    def promoted(self) -> list[Confirmation]:
        """The promotions in order: number n, from one, opened pull request n."""
        asked = self._tables.execute("SELECT number, against, verdict FROM promotions ORDER BY place")
        return [Confirmation(number=n, against=a, promoted=True, verdict=Verdict(**json.loads(v))) for n, a, v in asked]

    @property
    def reviews(self) -> list[Review]:
        """What was done with pull requests, in order."""
        asked = self._tables.execute("SELECT kind, body, at FROM reviews ORDER BY rowid")
        return [review_of(cast(ReviewKind, kind), json.loads(body), at) for kind, body, at in asked]

    # --- how it is made -------------------------------------------------------------------------

    def _follow(self) -> None:
        """Takes what the journal holds beyond the last look; all of it where what was taken was written anew since."""
        found = self._journal.stat()
        if self._stands(found) and found.st_size == self._state()[0]:
            return
        with self._tables:
            self._tables.execute("BEGIN IMMEDIATE")
            found = self._journal.stat()  # again: who held the lock may have read on
            if not self._stands(found):
                emptied(self._tables)
            begun, last, number, previous = self._state()
            start, commits = begun, list[tuple[int, str]]()
            try:
                for end, record in read_from(self._journal, start, number, previous):
                    if end > found.st_size:
                        break  # written since: the next look takes it
                    commits += self._take(record, start)
                    last, start, number, previous = start, end, record.number + 1, record.hash
            except (KeyError, TypeError, IndexError, ValueError, sqlite3.Error) as error:
                raise RunError(
                    f"record {number} of {self._journal} does not fit those before it ({error!r})",
                    hint="Use the version of evolve that wrote the run.",
                ) from error
            self._require_held(commits)
            changed = (start, last, number, previous, found.st_mtime_ns)
            self._tables.execute("UPDATE state SET bytes = ?, last = ?, number = ?, hash = ?, written = ?", changed)

    def _stands(self, found: os.stat_result) -> bool:
        """Whether the records that were taken are still there: the file was not written since, or only grew, and the
        last of them is where it was."""
        taken, last, number, digest = self._state()
        if not number:
            return True
        grown = found.st_size > taken
        if found.st_size < taken or not (grown or found.st_mtime_ns == self._one("SELECT written FROM state")):
            return False
        with self._journal.open("rb") as file, suppress(ValueError, KeyError, TypeError):
            file.seek(last)
            return json.loads(file.readline())["hash"] == digest
        return False

    def _take(self, record: Record, at: int) -> list[tuple[int, str]]:
        """Adds one record, which begins at byte `at`; returns the candidate that git must hold, if it names one."""
        body, execute = record.body, self._tables.execute
        if record.kind == "started":
            self._add(0, body["seed_commit"], (), at, {"technique": "", "persona": "", "move": ""})
            return [(0, body["seed_commit"])]
        if record.kind == "proposed":
            self._add(body["number"], body["commit"], body["proposal"]["parents"], at, body["proposal"])
            return [(body["number"], body["commit"])]
        if record.kind == "judged":
            outcome = body["outcome"]
            told = [outcome["kind"], outcome.get("reason", ""), outcome.get("rung", "")]
            told += [outcome.get("gain", 0.0), outcome.get("standard_error", 0.0)]
            execute(JUDGED, [at, *told, body["number"]])
        elif record.kind in ("confirmed", "decided"):
            self._decided(record, at)
        elif record.kind in REVIEWS:
            if not 1 <= body["pull"] <= self._one("SELECT count(*) FROM promotions"):
                raise IndexError(f"pull request {body['pull']} was never opened")
            execute("INSERT INTO reviews VALUES (?, ?, ?)", (record.kind, json.dumps(body), record.at))
        elif record.kind == "ended":
            execute("UPDATE state SET ended = ?", (body["reason"],))
        elif record.kind == "refused":
            execute("UPDATE state SET refused = refused + 1")
        else:
            execute("INSERT INTO others VALUES (?, ?)", (record.kind, at))
        return []

    def _decided(self, record: Record, at: int) -> None:
        """A look at the confirmation split, or an experiment's day; either may promote."""
        body, execute = record.body, self._tables.execute
        look = promotion(body) if record.kind == "decided" else None
        if record.kind == "confirmed":
            number, against, verdict = body["number"], body["against"], Verdict(**body["verdict"])
            told = (number, against, body["promoted"], json.dumps(body["verdict"]))
            execute("INSERT INTO looks VALUES (?, ?, ?, ?)", told)
            if body["promoted"]:
                execute("UPDATE state SET champion = ?", (number,))
                if self.proposed(0).get("confirmation") != "experiment":
                    look = Confirmation(number=number, against=against, verdict=verdict, promoted=True)
        if look:
            execute(PROMOTED, (look.number, at, look.against, json.dumps(asdict(look.verdict))))

    def _add(self, number: int, commit: str, parents: Iterable[str], at: int, proposal: Mapping[str, Any]) -> None:
        asked = "SELECT number FROM candidates WHERE commit_id = ?"
        numbers = [self._one(asked, parent) for parent in parents]
        told = (proposal["technique"], proposal["persona"], proposal["move"])
        parent = numbers[0] if numbers else None
        self._tables.execute(PROPOSED, (number, commit, parent, json.dumps(numbers), *told, at))
        self._tables.execute("UPDATE state SET ended = ''")
        self._tables.execute("DELETE FROM others WHERE kind = 'final'")

    def _require_held(self, commits: list[tuple[int, str]]) -> None:
        """Raises RunError where git holds another commit, or none, under a candidate's number."""
        if not commits:
            return
        names = "".join(f"refs/evolve/candidates/{number}\n" for number, _ in commits).encode()
        command = ["git", "--git-dir", str(self._lineage), "cat-file", "--batch-check=%(objectname)"]
        told = subprocess.run(command, input=names, capture_output=True, check=False).stdout.decode().splitlines()
        for (number, commit), found in zip(commits, told or [""] * len(commits), strict=False):
            if commit != found:
                held = "nothing" if found.endswith(" missing") or not found else found[:12]
                raise RunError(
                    f"candidate {number} is {commit[:12]} in the journal; the lineage holds {held}",
                    hint="Restore lineage.git from a backup, or import the run again.",
                )

    def _state(self) -> tuple[int, int, int, str]:
        return self._tables.execute("SELECT bytes, last, number, hash FROM state").fetchone()

    def _one(self, asked: str, *words: Any) -> Any:
        found = self._tables.execute(asked, words).fetchone()
        if found is None:
            raise KeyError(words)
        return found[0]

    def _body(self, at: int) -> Mapping[str, Any]:
        with self._journal.open("rb") as file:
            file.seek(at)
            raw = json.loads(file.readline())
        return join_measured(raw["body"], raw["wall"]["body"])
