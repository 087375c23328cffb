"""Whether a stranger's journal and lineage fit each other, and hold nothing that could harm who reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from evolve.archive import Archive
from evolve.errors import JournalError, RunError
from evolve.journal import Record
from evolve.lineage import Lineage

COMMIT = re.compile(r"[0-9a-f]{40}")
PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
LISTING_BYTES = 1 << 20
"""A candidate's list of files may be so long: a tree that holds itself many times over is longer."""
TREE_BYTES = 32 << 20


def check_joined(journal: Sequence[Record], lineage: Lineage, path: Path) -> None:
    """Checks every record against the lineage, in order. Raises JournalError for the first that does not fit.

    Every candidate's commit must be that of its number in the lineage, stand on commits of candidates before it, and
    hold plain text files of sane size at plain relative paths.
    """
    archive = Archive(lineage)
    refs = lineage.candidates()
    commits: list[str] = []
    for record in journal:
        try:
            if record.kind in ("started", "proposed"):
                _check_candidate(record, refs, commits, lineage)
            archive.apply(record)
        except JournalError:
            raise
        except RunError as error:
            raise _unfit(record, path, error.message) from error
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, AssertionError) as error:
            raise _unfit(record, path, f"it does not fit the records before it ({error!r})") from error


def _check_candidate(record: Record, refs: Sequence[str], commits: list[str], lineage: Lineage) -> None:
    first = record.kind == "started"
    commit = record.body["seed_commit"] if first else record.body["commit"]
    number = 0 if first else record.body["number"]
    if number != len(commits):
        raise RunError(f"it speaks of candidate {number}; the next one is {len(commits)}")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise RunError(f"{commit!r} is no commit")
    if number >= len(refs) or refs[number] != commit:
        raise RunError(f"candidate {number} is {commit[:12]}, which the lineage does not hold under that number")
    parents = () if first else record.body["proposal"]["parents"]
    if not first and (not parents or not set(parents) <= set(commits)):
        raise RunError(f"candidate {number} stands on commits that are no candidates before it")
    _check_files(lineage.listing(commit, LISTING_BYTES))
    commits.append(commit)


def _check_files(listing: str | None) -> None:
    if listing is None:
        raise RunError(f"its candidate's list of files is longer than {LISTING_BYTES >> 20} MiB")
    total = 0
    for entry in filter(None, listing.split("\0")):
        meta, _, name = entry.partition("\t")
        mode, kind, _, size = meta.split()
        if (mode, kind) != ("100644", "blob") or not PATH.fullmatch(name):
            raise RunError(f"its candidate holds {name!r} of mode {mode}; only plain files at plain paths are taken")
        total += int(size)
    if total > TREE_BYTES:
        raise RunError(f"its candidate holds {total} bytes; up to {TREE_BYTES} are taken")


def _unfit(record: Record, path: Path, found: str) -> JournalError:
    return JournalError(
        f"record {record.number} of {path.name} can't be taken: {found}",
        record=record.number,
        hint="The file was damaged or made by hand: export the run again.",
    )
