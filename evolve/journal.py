"""The append-only record of everything that happened: one JSON line a record, chained by hash.

The hash of a record covers its number, kind and body but nothing that was measured with a clock
(`MEASURED`): two runs with one seed have one chain of hashes. Knows nothing of what the kinds mean.

Several processes may append: the one that runs the search, and whoever reviews meanwhile. Each takes the file's lock
for one record, and first reads what the others wrote.

A record is handed to the operating system before `append` returns, so a killed process loses
nothing; a power cut may lose the last seconds, unless `durable` asks for an fsync at each record.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.contracts import Clock
from evolve.errors import JournalError, RunError

SCHEMA = 1
GENESIS = "0" * 64
MEASURED = frozenset({"cpu_s", "wall_s", "peak_memory_bytes", "at", "detail", "evidence"})
"""Names of fields that a clock, the kernel or an address-laden traceback fills: kept, never chained."""

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of the journal; `body` is whole again, measured fields included."""

    number: int
    kind: str
    body: Body
    at: float
    hash: str


class Journal:
    """Appends to and reads one journal file."""

    def __init__(self, path: Path, clock: Clock, *, durable: bool = False) -> None:
        self._clock, self._durable = clock, durable
        self.path = path
        self._records: list[Record] = []
        self._bytes = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        with self._locked():
            pass

    @property
    def records(self) -> tuple[Record, ...]:
        """Everything so far, in order."""
        return tuple(self._records)

    def since(self, number: int) -> Iterator[Record]:
        """The records from `number` on, those too that come while they are looked at."""
        while number < len(self._records):
            yield self._records[number]
            number += 1

    def append(self, kind: str, body: Body) -> Record:
        """Writes one record and hands it to the operating system; what other processes wrote since comes before it.

        Raises RunError where it can't be written.
        """
        with self._locked():
            return self._append(kind, body)

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Holds the file, whole and read to its end; a torn last line is of a writer that is dead."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            size = os.fstat(self._file).st_size
            if size != self._bytes:
                found, self._bytes = _read_whole(self.path, self._bytes, self._records)
                self._records.extend(found)
                if size != self._bytes:
                    os.ftruncate(self._file, self._bytes)
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _append(self, kind: str, body: Body) -> Record:
        previous = self._records[-1].hash if self._records else GENESIS
        number, at = len(self._records), self._clock.now()
        timeless, measured = split_measured(body)
        digest = chain(previous, number, kind, timeless)
        line = {"n": number, "schema": SCHEMA, "kind": kind, "body": timeless, "previous": previous, "hash": digest}
        line["wall"] = {"at": at, "body": measured}
        self._write((json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n").encode())
        record = Record(number=number, kind=kind, body=body, at=at, hash=digest)
        self._records.append(record)
        self._bytes = os.fstat(self._file).st_size
        return record

    def _write(self, line: bytes) -> None:
        start = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            if written == len(line) and self._durable:
                os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, start)
            raise _full(self.path, error.strerror) from error
        if written != len(line):
            os.ftruncate(self._file, start)
            raise _full(self.path, "only a part of the record fitted")

    def close(self) -> None:
        """Syncs and closes the file."""
        os.fsync(self._file)
        os.close(self._file)


class Follower:
    """Reads a journal while others write it, each record once; keeps none of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number, self._previous, self._bytes = 0, GENESIS, 0

    @property
    def is_behind(self) -> bool:
        """Whether the file is another than at the last look."""
        return self.path.stat().st_size != self._bytes

    def news(self) -> Iterator[Record]:
        """The whole records since the last look, checked. Raises RunError, where one is damaged JournalError."""
        if self.path.stat().st_size < self._bytes:
            raise RunError(f"the journal {self.path} was cut or replaced while it was read", hint="Read it anew.")
        with self.path.open("rb") as file:
            file.seek(self._bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # its writer is at it, or dead
                record = _parse(self.path, line, self._number, self._previous)
                self._number, self._previous, self._bytes = self._number + 1, record.hash, self._bytes + len(line)
                yield record


def read(path: Path) -> Iterator[Record]:
    """The whole records of a journal, checked; a torn last line is left out. Raises JournalError."""
    return iter(_read_whole(path)[0])


def chain(previous: str, number: int, kind: str, timeless: Body) -> str:
    """The hash of a record: sha256 over the previous hash and the canonical JSON of what is chained."""
    canonical = json.dumps([previous, SCHEMA, number, kind, timeless], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def split_measured(body: Body) -> tuple[dict[str, Any], dict[str, Any]]:
    """`body` without its measured fields, and a mirror that holds only them."""
    timeless: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    for key, value in body.items():
        if key in MEASURED:
            measured[key] = value
        elif isinstance(value, Mapping):
            timeless[key], inner = split_measured(value)
            if inner:
                measured[key] = inner
        else:
            timeless[key] = value
    return timeless, measured


def join_measured(timeless: Body, measured: Body) -> dict[str, Any]:
    """The inverse of `split_measured`."""
    whole = dict(timeless)
    for key, value in measured.items():
        whole[key] = join_measured(timeless[key], value) if key in timeless else value
    return whole


def read_from(path: Path, start: int, number: int, previous: str) -> Iterator[tuple[int, Record]]:
    """The whole records from byte `start` on, each with the byte at which it ends, checked as they come; record
    `number` is the first and follows the one whose hash is `previous`. A torn last line is left out."""
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            record = _parse(path, line, number, previous)
            start, number, previous = start + len(line), number + 1, record.hash
            yield start, record


def _read_whole(path: Path, start: int = 0, before: Sequence[Record] = ()) -> tuple[list[Record], int]:
    """The whole records from byte `start` on, which follow those `before`, and the byte at which they end."""
    if not path.exists():
        return [], 0
    found = list(read_from(path, start, len(before), before[-1].hash if before else GENESIS))
    return [record for _, record in found], found[-1][0] if found else start


def _parse(path: Path, line: bytes, number: int, previous: str) -> Record:
    try:
        raw = json.loads(line)
        schema, digest = raw["schema"], raw["hash"]
        if schema > SCHEMA:
            raise RunError(
                f"{path} has schema {schema}; this version of evolve knows {SCHEMA}",
                hint="Use the version of evolve that wrote the run, or a newer one.",
            )
        sound = raw["n"] == number and digest == chain(previous, number, raw["kind"], raw["body"])
        body = join_measured(raw["body"], raw["wall"]["body"])
        record = Record(number=number, kind=raw["kind"], body=body, at=raw["wall"]["at"], hash=digest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, number, f"it can't be read ({error})") from error
    if not sound:
        raise _broken(path, number, "its hash does not follow from the record before it")
    return record


def _broken(path: Path, number: int, found: str) -> JournalError:
    return JournalError(
        f"record {number} of {path} is damaged: {found}",
        record=number,
        hint=f"The first {number} records are sound: keep those lines in a copy of the run to go on from there.",
    )


def _full(path: Path, reason: str | None) -> RunError:
    return RunError(
        f"the journal {path} can't be written: {reason}",
        hint="Free disk space or mend permissions, then run the same command with --resume: nothing is lost.",
    )
