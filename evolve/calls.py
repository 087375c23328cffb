"""The store of a run's calls to language models: one JSON line an event, found by the call's own address.

A line is handed to the operating system before the caller goes on; a torn last line is cut off. Knows keys and
bodies, not what a model is. Implements the store that `agents.models` asks for.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evolve.errors import RunError

Body = Mapping[str, Any]


class CallFile:
    """One file of calls, for one process that writes, from any of its threads. `read_only` writes nothing and needs no
    file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._one = threading.RLock()
        self._kept: dict[str, Body] = {}
        self._begun: dict[str, Body] = {}
        self._open: Counter[str] = Counter()
        whole_bytes = self._read()
        self._lost = [self._begun[key] for key, count in self._open.items() for _ in range(count)]
        self._open.clear()
        self._file: int | None = None
        if not read_only:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.ftruncate(self._file, whole_bytes)

    def find(self, key: str) -> Body | None:
        """What came of the call, or None."""
        return self._kept.get(key)

    def begin(self, key: str, body: Body) -> None:
        """Says that a call is about to be made, once a try."""
        with self._one:
            if not self._open[key]:
                self._take("began", key, body)
                self._write("began", key, body)

    def withdraw(self, key: str) -> None:
        """Takes `begin` back: the call was not made."""
        with self._one:
            self._take("withdrawn", key, {})
            self._write("withdrawn", key, {})

    def keep(self, key: str, body: Body) -> None:
        """Keeps what came of the call; the first that is kept stays."""
        with self._one:
            if key not in self._kept:
                # As another process would read it: what is found does not depend on who wrote it.
                self._take("kept", key, json.loads(json.dumps(body)))
                self._write("kept", key, body)

    def kept(self) -> Iterable[Body]:
        """Everything that was kept, in order."""
        return self._kept.values()

    def lost(self) -> Iterable[Body]:
        """What was begun by a process that ended before anything was kept."""
        return self._lost

    def close(self) -> None:
        """Syncs and closes the file."""
        with self._one:
            if self._file is not None:
                os.fsync(self._file)
                os.close(self._file)
                self._file = None

    def _take(self, kind: str, key: str, body: Body) -> None:
        if kind == "began":
            self._begun[key] = body
            self._open[key] += 1
        else:
            if kind == "kept":
                self._kept.setdefault(key, body)
            self._open[key] = max(0, self._open[key] - 1)

    def _read(self) -> int:
        """Takes every whole line; returns how many bytes they have."""
        if not self.path.exists():
            return 0
        text = self.path.read_bytes()
        whole_bytes = text.rfind(b"\n") + 1
        for number, line in enumerate(text[:whole_bytes].splitlines()):
            try:
                row = json.loads(line)
                self._take(row["kind"], row["key"], row["body"])
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"line {number + 1} of {self.path} can't be read ({error})",
                    hint="The lines before it are sound: keep those in a copy of the run to go on from there.",
                ) from error
        return whole_bytes

    def _write(self, kind: str, key: str, body: Body) -> None:
        if self._file is None:
            raise RunError(f"{self.path} was opened for reading only")
        line = (json.dumps({"kind": kind, "key": key, "body": body}, separators=(",", ":")) + "\n").encode()
        start = os.fstat(self._file).st_size
        written, reason = 0, "only a part of the line fitted"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            reason = error.strerror or str(error)
        if written != len(line):
            os.ftruncate(self._file, start)
            raise RunError(
                f"the calls {self.path} can't be written: {reason}",
                hint="Free disk space or mend permissions, then go on with --resume: nothing is paid twice.",
            )
