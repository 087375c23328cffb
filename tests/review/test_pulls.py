"""Pull requests in plain git: opened by a promotion, merged, rejected and rolled back by a person."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.archive import Archive
from evolve.contracts import Scored
from evolve.errors import UsageError
from evolve.journal import Journal, read
from evolve.lineage import Lineage
from evolve.review.body import body
from evolve.review.desk import Desk, head_of
from evolve.review.pulls import pull, pulls
from tests.cli.test_cli import evolve
from tests.toys import SEED_TREE, Counting, Ticking, toy_loop


class Reviewed:
    """A run as a reviewer sees it: every call folds the journal anew, as every command does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lineage = folder, Lineage(folder / "lineage.git")

    @property
    def archive(self) -> Archive:
        archive = Archive(self.lineage)
        for record in read(self.folder / "journal.jsonl"):
            archive.apply(record)
        return archive

    def __getattr__(self, name: str):
        def call(*words, **named):
            journal = Journal(self.folder / "journal.jsonl", Ticking())
            try:
                return getattr(Desk("toy", self.archive, self.lineage, journal), name)(*words, **named)
            finally:
                journal.close()

        return call

    def git(self, *words: str) -> str:
        command = ["git", "--git-dir", str(self.lineage.path), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def model(self, ref: str) -> str:
        return self.git("show", f"{ref}:model.py").strip()

    def states(self) -> list[str]:
        return [found.state for found in pulls(self.archive)]


@pytest.fixture
def run(tmp_path: Path) -> Reviewed:
    """Candidates 8 and 16 are promoted: two pull requests, nothing merged."""
    loop = toy_loop(tmp_path / "toy")
    loop.run()
    loop._journal.close()
    opened = Reviewed(tmp_path / "toy")
    opened.open_all()
    return opened


def test_a_promotion_opens_a_branch_and_main_waits_for_a_person(run):
    assert run.states() == ["open", "open"]
    assert run.model("main") == "X = 0" and run.model("confirmed") == "X = 16"
    assert run.model("evolve/toy/1") == "X = 8" and run.model("evolve/toy/2") == "X = 16"


def test_a_branch_has_one_commit_for_each_step_with_its_hypothesis(run):
    told = run.git("log", "--format=%s", "main..evolve/toy/2").splitlines()
    assert told == ["count: 16 is better", "count: 8 is better"]
    assert "Mechanism: more is more" in run.git("log", "-1", "--format=%b", "evolve/toy/1")


def test_a_chain_of_steps_that_no_look_confirmed_alone_comes_as_a_series(tmp_path):
    class Chained(Counting):
        """Each proposal stands on the last scored candidate, confirmed or not."""

        def propose(self, history, seed):
            found = super().propose(history, seed)
            scored = [a.candidate.commit for a in history.attempts if isinstance(a.outcome, Scored)]
            return replace(found, parents=(scored[-1],)) if scored else found

    toy_loop(tmp_path, proposer=Chained()).run()
    run = Reviewed(tmp_path)
    run.open_all()
    assert pull(run.archive, 1).steps == (1, 2, 3, 4, 6, 8)
    assert run.git("log", "--format=%s", "main..evolve/toy/1").count("\n") == 6
    assert run.model("evolve/toy/1") == "X = 8"


def test_a_challenger_that_does_not_stand_on_the_champion_says_what_it_takes_back(tmp_path):
    class Flat(Counting):
        """Every proposal stands on the seed."""

        def propose(self, history, seed):
            return replace(super().propose(history, seed), parents=(history.seed.commit,))

    toy_loop(tmp_path, proposer=Flat()).run()
    run = Reviewed(tmp_path)
    run.open_all()
    second = pull(run.archive, 2)
    assert second.takes_back == (8,) and second.steps == (16,)
    assert "takes back" in body(run.archive, second, "toy")
    assert run.model("evolve/toy/2") == "X = 16"


def test_approving_makes_a_real_merge_and_a_tag(run):
    merge = run.approve(1, "fine")
    assert run.git("rev-parse", "main", "champion/1").split() == [merge, merge]
    seed, head = run.archive.seed.commit, head_of(run.lineage, 1)
    assert run.git("log", "-1", "--format=%P", "main").split() == [seed, head]
    assert run.model("main") == "X = 8"
    assert run.states() == ["approved", "open"]
    run.git("fsck", "--strict")


def test_approving_the_second_takes_the_first_along(run):
    run.approve(2)
    assert run.model("main") == "X = 16" and run.states() == ["approved", "approved"]


def test_approving_twice_is_refused(run):
    run.approve(1)
    with pytest.raises(UsageError, match="approved already"):
        run.approve(1)


def test_an_approval_that_was_cut_between_git_and_the_journal_is_given_again(run):
    journal = run.folder / "journal.jsonl"
    before = journal.read_bytes()
    merge = run.approve(1)
    journal.write_bytes(before)
    assert run.states() == ["open", "open"]
    assert run.approve(1) == merge and run.states() == ["approved", "open"]
    assert run.git("rev-list", "--count", "--merges", "main").strip() == "1"


def test_a_rejection_is_what_a_proposer_reads(run):
    run.reject(1, "too slow to serve")
    assert run.states() == ["rejected", "open"]
    assert run.archive.history().rejections == {8: "too slow to serve"}
    assert run.model("main") == "X = 0"
    with pytest.raises(UsageError, match="reason"):
        run.reject(2, " ")


def test_what_stands_on_a_rejected_one_is_not_merged_unless_the_person_thinks_again(run):
    run.reject(1, "no")
    with pytest.raises(UsageError, match="stands on pull request 1, which was rejected"):
        run.approve(2)
    run.approve(1)
    run.approve(2)
    assert run.model("main") == "X = 16" and run.archive.history().rejections == {}


def test_a_rollback_puts_main_back_by_a_commit_on_top(run):
    run.approve(1)
    run.approve(2)
    with pytest.raises(UsageError, match="the last is 2"):
        run.roll_back(1)
    run.roll_back(2, "guardrail")
    assert run.model("main") == "X = 8" and run.states() == ["approved", "rolled back"]
    run.roll_back(1)
    assert run.model("main") == "X = 0" and run.states() == ["rolled back", "rolled back"]
    assert run.git("rev-list", "--count", "--first-parent", "main").strip() == "5"
    run.approve(1)
    assert run.model("main") == "X = 8"


def test_a_rollback_of_a_merge_of_two_rolls_back_both(run):
    run.approve(2)
    run.roll_back(2)
    assert run.model("main") == "X = 0" and run.states() == ["rolled back", "rolled back"]


def test_a_stale_pull_request_says_which_file_conflicts(run):
    seed = run.archive.seed.commit
    run.lineage.write("refs/heads/main", 0, {"model.py": "X = -1\n"}, (seed,), "by hand")
    with pytest.raises(UsageError, match=r"(?s)stale.*model\.py"):
        run.approve(1)
    assert run.model("main") == "X = -1" and run.states() == ["open", "open"]


def test_an_exported_series_applies_with_git_am(run, tmp_path):
    ended = evolve("pr", "export", 2, "--patch", tmp_path / "two.mbox", "--run", run.folder)
    assert ended.returncode == 0, ended.stderr
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    git = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x@x"]
    (work / "model.py").write_text(run.model("evolve/toy/1") + "\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "before"], check=True)
    subprocess.run([*git, "am", "-q", str(tmp_path / "two.mbox")], check=True)
    assert (work / "model.py").read_text() == "X = 16\n"


def test_reviews_survive_resume_and_a_longer_run(run):
    """They are links of the chain, and the search goes the same way with them."""
    run.approve(1)
    run.comment(2, "what of latency?")
    run.reject(2, "too slow")
    longer = toy_loop(run.folder, budget=26)
    longer.run()
    longer._journal.close()
    assert run.states()[:2] == ["approved", "rejected"]
    plain = toy_loop(run.folder.parent / "plain", budget=26)
    plain.run()
    assert [c.commit for c in longer.archive.candidates] == [c.commit for c in plain.archive.candidates]
    assert [r.kind for r in pull(run.archive, 2).reviews] == ["commented", "rejected"]


def test_a_person_can_review_while_the_search_goes_on(tmp_path):
    """Two writers, one chain: what the reviewer writes comes before the search's next record."""
    folder = tmp_path / "toy"
    loop, seen = toy_loop(folder), []

    def observe(record):
        seen.append(record.kind)
        if record.kind == "confirmed" and record.body["promoted"]:
            reviewer = Reviewed(folder)
            reviewer.open_all()
            reviewer.comment(len(loop.archive.promoted), "seen")

    loop._observer = observe
    loop.run()
    found = list(read(folder / "journal.jsonl"))
    assert [r.kind for r in found] == seen and seen.count("commented") == 2
    assert [r.text for r in loop.archive.reviews] == ["seen", "seen"]


def test_many_writers_make_one_sound_chain(tmp_path):
    path = tmp_path / "journal.jsonl"
    journals = [Journal(path, Ticking()) for _ in range(4)]

    def write(journal: Journal, who: int) -> None:
        for k in range(25):
            journal.append("said", {"who": who, "k": k})

    threads = [threading.Thread(target=write, args=(j, i)) for i, j in enumerate(journals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [(r.body["who"], r.body["k"]) for r in read(path)]
    assert sorted(found) == [(who, k) for who in range(4) for k in range(25)]
    for journal in journals:
        journal.close()


def test_an_unattended_run_merges_by_itself_and_leaves_open_what_a_person_stands_against(tmp_path):
    loop = toy_loop(tmp_path)
    desk = Desk("toy", loop.archive, loop._lineage, loop._journal)

    def observe(record):
        if record.kind == "confirmed" and record.body["promoted"]:
            desk.follow(auto_approve=True)

    loop._observer = observe
    loop.run()
    run = Reviewed(tmp_path)
    assert run.states() == ["approved", "approved"] and run.model("main") == "X = 16"
    assert [r.text for r in loop.archive.reviews] == ["approved by --auto-approve"] * 2


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "[x](javascript:alert(1))", "a\n## Forged\n| b |", "`x`"]
)
def test_a_strangers_text_is_text_in_the_body(tmp_path, hostile):
    class Hostile(Counting):
        def propose(self, history, seed):
            return replace(super().propose(history, seed), hypothesis=hostile, mechanism=hostile, technique=hostile)

    toy_loop(tmp_path, proposer=Hostile()).run()
    archive = Reviewed(tmp_path).archive
    text = body(archive, pull(archive, 1), "toy")
    assert "<script" not in text and "](javascript" not in text and "\n## Forged" not in text
    for part in ("## What changes", "## Mechanism", "## Proxies", "## Cost", "## Risks", "roll back", "reproduce"):
        assert part in text


def test_the_body_tells_the_paired_interval_of_the_confirmation(run):
    text = body(run.archive, pull(run.archive, 2), "toy")
    assert "| m | 0.5080 | 0.5160 | +0.0100 [+0.0000, +0.0200] better |" in text


def test_the_commands_review_a_run(run):
    def told(*words) -> str:
        ended = evolve("pr", *words, "--run", run.folder)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert [p["state"] for p in json.loads(told("list", "--json"))] == ["open", "open"]
    assert "16 is better" in told("show", 2) and "+X = 16" in told("diff", 2)
    told("comment", 1, "nice")
    assert "champion/1" in told("approve", 1)
    told("reject", 2, "--reason", "no")
    told("rollback", 1)
    assert "rolled back" in told("list") and "rejected" in told("list")
    for words in (("status",), ("log",), ("replay", "--verify", "--sample", "0")):
        assert "Traceback" not in evolve(*words, "--run", run.folder).stderr
    assert evolve("status", "--run", run.folder).returncode == 0
    missing = evolve("pr", "show", 9, "--run", run.folder)
    assert missing.returncode == 2 and "there are 1 to 2" in missing.stderr


def test_the_seed_tree_is_where_main_begins(run):
    assert run.lineage.tree(run.lineage.head("refs/heads/main")) == SEED_TREE
