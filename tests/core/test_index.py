"""The index: what commands look up, made from the journal and git, and followed while a run goes on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from evolve.archive import Archive
from evolve.errors import JournalError, RunError, UsageError
from evolve.index import Index
from evolve.journal import Journal, read
from evolve.lineage import Lineage
from evolve.review.pulls import pulls
from tests.toys import Counting, Ticking, toy_loop


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    loop = toy_loop(tmp_path / "toy", proposer=Counting(repeat=6), refused=11)
    loop.run()
    loop._journal.close()
    return loop._journal.path.parent


def look(folder: Path) -> Index:
    return Index(folder / "journal.jsonl", folder / "lineage.git", folder / "index.sqlite")


def archive_of(folder: Path) -> Archive:
    archive = Archive(Lineage(folder / "lineage.git"))
    for record in read(folder / "journal.jsonl"):
        archive.apply(record)
    return archive


def require_equal(index: Index, archive: Archive) -> None:
    """Says the same as the fold of the whole journal."""
    rows = list(index.rows())
    assert [(r.number, r.commit) for r in rows] == [(c.number, c.commit) for c in archive.candidates]
    assert [len(r.parents) for r in rows] == [len(c.parents) for c in archive.candidates]
    for attempt in archive.attempts:
        row, outcome = rows[attempt.candidate.number], attempt.outcome
        assert (row.technique, row.kind) == (attempt.proposal.technique, outcome.kind)
        assert row.gain == getattr(outcome, "gain", 0.0) and row.reason == getattr(outcome, "reason", "")
        judged = index.judged(row.number)
        assert judged is not None and judged["outcome"]["kind"] == outcome.kind
    assert index.confirmations == archive.confirmations and index.reviews == archive.reviews
    assert pulls(index) == pulls(archive)
    assert index.champion == archive.champion.number and index.ended == archive.ended
    assert index.refused == len(archive.refusals)
    assert (index.other("final") is None) == (archive.final is None)


def test_it_says_what_the_fold_of_the_journal_says(folder):
    require_equal(look(folder), archive_of(folder))


def test_it_follows_a_run_that_goes_on_record_by_record(tmp_path):
    loop = toy_loop(tmp_path)
    loop._observer = lambda record: record.number > 0 and require_equal(look(tmp_path), archive_of(tmp_path))
    loop.run()


def test_a_resumed_run_has_no_final_result_until_it_ends_again(folder):
    require_equal(look(folder), archive_of(folder))
    loop = toy_loop(folder, budget=26, proposer=Counting(limit=24))
    loop.run()
    loop._journal.close()
    require_equal(look(folder), archive_of(folder))


@pytest.mark.parametrize("harm", ["deleted", "garbage", "empty"])
def test_it_is_made_again_where_it_is_missing_or_damaged(folder, harm):
    look(folder).close()
    file = folder / "index.sqlite"
    file.unlink()
    if harm != "deleted":
        file.write_bytes(b"no database" * 500 if harm == "garbage" else b"")
    require_equal(look(folder), archive_of(folder))


def test_another_journal_in_its_place_is_noticed(folder, tmp_path):
    look(folder).close()
    other = toy_loop(tmp_path / "other", budget=30, start=5e6, refused=3)
    other.run()
    other._journal.close()
    for name in ("journal.jsonl", "lineage.git"):
        target = folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        (shutil.copytree if (tmp_path / "other" / name).is_dir() else shutil.copy)(tmp_path / "other" / name, target)
    require_equal(look(folder), archive_of(folder))


def test_a_torn_last_line_waits_until_it_is_whole(folder):
    journal = folder / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    assert look(folder).ended == ""
    journal.write_bytes(whole)
    assert look(folder).ended


def test_a_damaged_record_is_named(folder):
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:5], lines[5].replace(b'"n":5', b'"n":6'), *lines[6:]]))
    with pytest.raises(JournalError, match="record 5"):
        look(folder)


def test_a_candidate_that_git_lost_is_said(folder):
    Lineage(folder / "lineage.git").drop("refs/evolve/candidates/3")
    with pytest.raises(RunError, match=r"candidate 3 is .* the lineage holds nothing"):
        look(folder)


def test_a_candidate_that_never_was_is_a_clear_error(folder):
    with pytest.raises(UsageError, match="no candidate 99"):
        look(folder).row(99)


def test_reviews_are_followed_too(folder):
    from evolve.review.desk import Desk

    index, journal = look(folder), Journal(folder / "journal.jsonl", Ticking())
    assert not index.reviews
    desk = Desk("toy", archive_of(folder), Lineage(folder / "lineage.git"), journal)
    desk.open_all()
    desk.approve(1)
    journal.close()
    require_equal(look(folder), archive_of(folder))


def test_many_may_look_while_the_run_goes_on(tmp_path):
    """Each takes what is there; none waits long, none makes it again, and the last one says what the journal says."""
    import threading

    loop, wrong = toy_loop(tmp_path, budget=40), []

    def keep_looking() -> None:
        while not done.is_set():
            try:
                rows = list(look(tmp_path).rows())
                assert [r.number for r in rows] == list(range(len(rows)))
            except Exception as error:
                wrong.append(error)
                return

    done = threading.Event()
    loop._observer = lambda record: [t.start() for t in threads] if record.number == 3 else None
    threads = [threading.Thread(target=keep_looking) for _ in range(3)]
    loop.run()
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    require_equal(look(tmp_path), archive_of(tmp_path))


def test_a_made_up_run_is_a_sound_one_with_reviews(tmp_path):
    """Benchmarks of what reads a run stand on it."""
    from benchmarks.synthetic_runs import write

    run, again = (write(tmp_path / name / "run", 150) for name in ("a", "b"))
    assert run.journal.read_bytes() == again.journal.read_bytes()
    archive = archive_of(run.path)
    require_equal(look(run.path), archive)
    assert {"approved", "open"} <= {found.state for found in pulls(archive)}
    subprocess.run(["git", "--git-dir", str(run.lineage), "fsck", "--strict"], check=True, capture_output=True)
