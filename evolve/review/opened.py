"""A run opened for review, for `evolve pr` and the web page alike. Several reviewers may open one run at once."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from evolve.archive import Archive
from evolve.contracts import Clock, Verdict
from evolve.fingerprint import fingerprint
from evolve.journal import Journal, Record
from evolve.lineage import Lineage
from evolve.review.desk import Desk, base_of, head_of
from evolve.review.pulls import Pull, pull
from evolve.run_folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What it takes to show pull requests; `archive` may come without candidates' files."""

    folder: RunFolder
    archive: Archive
    lineage: Lineage

    def ends(self, number: int) -> tuple[str, str]:
        """What a pull request is compared with, and its last commit. Raises UsageError where there is none."""
        pull(self.archive, number)
        return base_of(self.lineage, self.archive, number), head_of(self.lineage, number)

    def unseen(self, found: Pull) -> Mapping[str, Verdict] | None:
        """Paired comparisons of every metric at the confirmation users, where the run's measurements are here."""
        if not self.folder.measurements.exists():
            return None
        from evaluations.recorded import confirmed_metrics

        prints = (self._fingerprint(found.candidate), self._fingerprint(found.look.against))
        return confirmed_metrics(self.folder.measurements, self.archive.settings, *prints, found.look.verdict)

    def _fingerprint(self, number: int) -> str:
        return fingerprint(self.lineage.tree(self.archive.candidates[number].commit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Shown):
    """What it takes to decide on them, too."""

    desk: Desk
    first_record: Record


@contextmanager
def at_desk(folder: RunFolder, clock: Clock) -> Generator[Opened]:
    """Folds a run's journal and opens what was promoted; the journal is closed at the end."""
    lineage, journal = Lineage(folder.lineage), Journal(folder.journal, clock)
    try:
        archive = Archive(lineage, with_code=False)
        for record in journal.records:
            archive.apply(record)
        desk = Desk(folder.name, archive, lineage, journal, to_target=not folder.is_imported())
        desk.open_all()
        first = journal.records[0]
        yield Opened(folder=folder, archive=archive, lineage=lineage, desk=desk, first_record=first)
    finally:
        journal.close()
