"""One folder a run, and who may write to it. Knows names and locks, not what a run means."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evolve.errors import RunError

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run's parts."""

    path: Path

    @property
    def name(self) -> str:
        """The run's id: the folder's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """The truth of what happened."""
        return self.path / JOURNAL

    @property
    def lineage(self) -> Path:
        """The bare git repository of what was tried."""
        return self.path / "lineage.git"

    @property
    def measurements(self) -> Path:
        """What trained models scored, per user."""
        return self.path / "measurements"

    @property
    def calls(self) -> Path:
        """Every call to a language model, with its answer and what it cost."""
        return self.path / "calls.jsonl"

    @property
    def model(self) -> Path:
        """How the run's language models are asked."""
        return self.path / "model.json"

    @property
    def steering(self) -> Path:
        """What a person asked of the agent."""
        return self.path / "steering.jsonl"

    @property
    def index(self) -> Path:
        """What commands look up; made again where it is missing."""
        return self.path / "index.sqlite"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def manifest(self) -> Path:
        """What an imported run came with; a run of one's own has none."""
        return self.path / "manifest.json"

    def is_imported(self) -> bool:
        """Whether the run came from elsewhere: its code is a stranger's, whatever its journal says."""
        return self.manifest.exists()

    @contextmanager
    def held(self) -> Generator[None]:
        """Holds the run for writing; a second process gets a RunError. Freed by the kernel if we are killed."""
        lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"the run {self.path} is being written by another process",
                hint="Wait for it, or watch it with `evolve status`.",
            ) from None
        else:
            yield
        finally:
            os.close(lock)

    def is_held(self) -> bool:
        """Whether a process of this machine writes the run now. Takes no lock; False where there is no /proc."""
        lock, table = self.path / ".lock", Path("/proc/locks")
        if not lock.exists() or not table.exists():
            return False
        inode = f":{lock.stat().st_ino}"
        fields = [line.split() for line in table.read_text().splitlines()]
        return any(row[1] == "FLOCK" and row[-3].endswith(inode) for row in fields)


def create(runs: Path, name: str) -> RunFolder:
    """A new run folder; the first free of NAME, NAME-2, NAME-3, ... Raises RunError where it can't be made."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for suffix in ("", *(f"-{k}" for k in range(2, 10_000))):
            path = runs / f"{name}{suffix}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return RunFolder(path)
    except OSError as error:
        raise RunError(
            f"no run folder can be made in {runs}: {error.strerror}", hint="Choose another place with --out."
        ) from error
    raise RunError(f"{runs} is full of runs named {name}", hint="Choose another place with --out.")


def find(runs: Path, name: str | None = None) -> RunFolder:
    """The run of that name or path, or the latest. Raises RunError where there is none."""
    if name is not None:
        for path in (Path(name), runs / name):
            if (path / JOURNAL).exists():
                return RunFolder(path)
        raise RunError(f"there is no run `{name}` in {runs}", hint=_listing(runs))
    found = sorted(runs.glob(f"*/{JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise RunError(f"there is no run in {runs}", hint="Start one: evolve start --budget 50")
    return RunFolder(found[-1].parent)


def all_runs(runs: Path) -> list[RunFolder]:
    """Every run in a folder, by name."""
    return [RunFolder(path.parent) for path in sorted(runs.glob(f"*/{JOURNAL}"))]


def _listing(runs: Path) -> str:
    names = [folder.name for folder in all_runs(runs)]
    return f"There are: {', '.join(names)}" if names else "Start one: evolve start --budget 50"
