"""What the 100,000th candidate costs: appending its records, committing it, and the disk that it takes.

Every record is appended as the loop does it. Of each thousand candidates the first 20 are committed as the loop does
it, and timed; the rest come in one `git fast-import` that leaves the same loose objects and refs. So the repository
goes through the same states, its packing every 1,000 candidates included, in minutes. A candidate changes one line of
one of the four files of `video_ranking`'s seed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.common import Result, main, progress
from benchmarks.synthetic_runs import Drawn, Passing, Story, drawn_outcome, imported
from evolve import records
from evolve.journal import Journal
from evolve.lineage import CANDIDATES, EPOCH, MAINTENANCE_EVERY, Lineage, commit_stream
from search_spaces.space import load

CANDIDATES_IN_ALL, QUICK = 100_000, 3_000
TIMED_OF_EACH = 20
PARTS = 10
GOAL_APPEND_MS, GOAL_COMMIT_MS, GOAL_GROWTH, GOAL_BYTES = 2.0, 10.0, 1.2, 1024
LOOSE = ("-c", "fastimport.unpackLimit=1000000")


@dataclass
class Taken:
    """Seconds of each operation, in order."""

    append: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    maintain: list[float] = field(default_factory=list)


class Store:
    """A journal and a lineage that grow by made-up candidates."""

    def __init__(self, folder: Path) -> None:
        seed = load("video_ranking").seed
        self.story = Story(seed_tree=seed, rng=np.random.default_rng(0), trees={0: seed}, gains=[0.0])
        self.lineage = Lineage(folder / "lineage.git")
        self.journal = Journal(folder / "journal.jsonl", Passing())
        self.commits = {0: self.lineage.commit(0, seed, (), "seed of video_ranking")}
        self.took = Taken()

    def grow(self, first: int, last: int) -> None:
        """Adds candidates `first` to `last` and packs."""
        drawn = [self.story.step(number) for number in range(first, last + 1)]
        for found in drawn[:TIMED_OF_EACH]:
            self.commits[found.number] = self._commit(found)
        self.commits |= imported(self.lineage, self._told(drawn[TIMED_OF_EACH:]), *LOOSE)
        for found in drawn:
            self._append(found)
        began = time.perf_counter()
        self.lineage.maintain()
        self.took.maintain.append(time.perf_counter() - began)

    def _commit(self, found: Drawn) -> str:
        parents = [self.commits[parent] for parent in found.parents]
        began = time.perf_counter()
        commit = self.lineage.commit(found.number, found.tree, parents, found.text)
        self.took.commit.append(time.perf_counter() - began)
        return commit

    def _told(self, drawn: list[Drawn]) -> Iterator[bytes]:
        for found in drawn:
            parents = [self.commits.get(parent, f":{parent}") for parent in found.parents]
            ref, date = f"{CANDIDATES}/{found.number}", EPOCH + found.number
            yield commit_stream(ref, date, found.tree, parents, found.text, mark=found.number)

    def _append(self, found: Drawn) -> None:
        proposal = found.proposal | {"parents": [self.commits[parent] for parent in found.parents]}
        body = {"number": found.number, "commit": self.commits[found.number], "reference": 0, "proposal": proposal}
        outcome = records.outcome_to_json(drawn_outcome(found, self.story.rng))
        for kind, value in (("proposed", body), ("judged", {"number": found.number, "outcome": outcome})):
            began = time.perf_counter()
            self.journal.append(kind, value)
            self.took.append.append(time.perf_counter() - began)


def in_parts(took: list[float]) -> list[float]:
    """The median of each tenth, in milliseconds."""
    return [round(statistics.median(part) * 1e3, 4) for part in np.array_split(took, PARTS)]


def bytes_of(folder: Path) -> int:
    """What its files hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(quick: bool) -> Result:
    """The median commit at the end; the rest stands beside it."""
    candidates = QUICK if quick else CANDIDATES_IN_ALL
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch))
        for first in range(1, candidates, MAINTENANCE_EVERY):
            store.grow(first, first + MAINTENANCE_EVERY - 1)
            progress(f"{first + MAINTENANCE_EVERY - 1} candidates: maintained in {store.took.maintain[-1]:.2f} s")
        packs = len(list((store.lineage.path / "objects" / "pack").glob("*.pack")))
        each = bytes_of(store.lineage.path) / candidates
        journal_bytes = store.journal.path.stat().st_size
        store.journal.close()
    append, commit = in_parts(store.took.append), in_parts(store.took.commit)
    growth = {"append": append[-1] / append[0], "commit": commit[-1] / commit[0]}
    flat = max(growth.values()) <= GOAL_GROWTH
    fast = statistics.median(store.took.append) * 1e3 < GOAL_APPEND_MS and commit[-1] < GOAL_COMMIT_MS
    last = np.array_split(store.took.commit, PARTS)[-1]
    return Result(
        figure=round(commit[-1], 2),
        unit=f"ms to commit one of the last tenth of {candidates} candidates, median",
        interval=(round(float(np.quantile(last, 0.25)) * 1e3, 2), round(float(np.quantile(last, 0.75)) * 1e3, 2)),
        goal=f"under {GOAL_COMMIT_MS:.0f} ms, an append under {GOAL_APPEND_MS:.0f} ms, the last tenth of both at most "
        f"{GOAL_GROWTH} x the first, and under {GOAL_BYTES} bytes of repository a candidate",
        holds=flat and fast and each < GOAL_BYTES,
        details={
            "commit_ms_by_tenth": commit,
            "append_ms_by_tenth": append,
            "last_tenth_over_first": {name: round(value, 3) for name, value in growth.items()},
            "repository_bytes_a_candidate": round(each),
            "journal_bytes_a_candidate": round(journal_bytes / candidates),
            "packs": packs,
            "maintenance_s": {
                "median": round(statistics.median(store.took.maintain), 3),
                "most": round(max(store.took.maintain), 3),
                "in_all": round(sum(store.took.maintain), 1),
            },
        },
    )


if __name__ == "__main__":
    main("scale_store", measure, __doc__ or "")
