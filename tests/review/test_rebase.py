"""A stale pull request: laid on another ground and judged again, or marked conflicting. And what its parts give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evolve.contracts import Scored
from evolve.error_budget import alpha_of
from evolve.errors import UsageError
from evolve.journal import Journal
from evolve.review.attribution import measured, parts
from evolve.review.body import body
from evolve.review.pulls import pull
from evolve.review.rebase import laid, merge_trees
from evolve.reviews import Part
from evolve.target import Step
from tests.cli.test_cli import evolve
from tests.review.test_pulls import Reviewed, run  # noqa: F401
from tests.toys import Counting, Ticking, toy_loop, verdict

LINES = "".join(f"L{n} = 0\n" for n in range(12))


class Lines(Counting):
    """Candidate n sets line n of twelve; every proposal stands on the last scored one."""

    def propose(self, history, seed):
        found = super().propose(history, seed)
        scored = [a for a in history.attempts if isinstance(a.outcome, Scored)]
        parent = scored[-1].candidate if scored else history.seed
        text = parent.tree.get("lines.py", LINES).replace(f"L{history.number % 12} = 0", f"L{history.number % 12} = 1")
        files = {**found.files, "lines.py": text}
        return replace(found, parents=(parent.commit,), files=files)


class Judge:
    """Says what it is told, and keeps what it was asked."""

    def __init__(self, decision: str = "better") -> None:
        self.decision, self.asked = decision, []

    def __call__(self, new, old, alpha):
        self.asked.append((dict(new), dict(old), alpha))
        return verdict(self.decision, 0.01, alpha)


@pytest.fixture
def rows(tmp_path: Path) -> Reviewed:
    """Two pull requests whose steps change lines of a file that others can change too."""
    loop = toy_loop(tmp_path / "toy", proposer=Lines())
    loop.run()
    loop._journal.close()
    opened = Reviewed(tmp_path / "toy")
    opened.open_all()
    return opened


def by_hand(opened: Reviewed, **files: str) -> str:
    """A commit on `main` that no pull request brought."""
    main = opened.lineage.head("refs/heads/main")
    return opened.lineage.write("refs/heads/main", 0, {**opened.lineage.tree(main), **files}, (main,), "by hand")


def test_a_stale_pull_request_is_laid_on_main_and_judged_again(rows):
    main = by_hand(rows, **{"notes.py": "# mine\n"})
    with pytest.raises(UsageError, match="stale"):
        rows.approve(1)
    judge, looks = Judge(), rows.archive.looks
    found = rows.rebase(1, judge)
    new, old, alpha = judge.asked[0]
    assert new["notes.py"] == "# mine\n" and new["model.py"] == "X = 8\n" and old["model.py"] == "X = 0\n"
    assert alpha == alpha_of(looks) and rows.archive.looks == looks + 1
    assert rows.git("log", "--format=%s", f"{main}..evolve/toy/1").count("\n") == len(pull(rows.archive, 1).steps)
    assert rows.states()[0] == "open" and "On another ground" in body(rows.archive, pull(rows.archive, 1), "toy")
    merge = rows.approve(1)
    assert rows.git("log", "-1", "--format=%P", merge).split() == [main, found.commit]
    assert rows.model("main") == "X = 8" and rows.git("show", "main:notes.py") == "# mine\n"


def test_what_stands_on_a_rebased_one_must_be_rebased_too(rows):
    by_hand(rows, **{"notes.py": "# mine\n"})
    rows.rebase(1, Judge())
    rows.approve(1)
    with pytest.raises(UsageError, match="as it was before that was rebased"):
        rows.approve(2)
    rows.rebase(2, Judge())
    rows.approve(2)
    assert rows.model("main") == "X = 16" and rows.git("show", "main:notes.py") == "# mine\n"
    rows.roll_back(2)
    assert rows.model("main") == "X = 8" and rows.states() == ["approved", "rolled back"]


def test_one_that_stands_on_a_rejected_one_can_go_without_it(rows):
    rows.reject(1, "no")
    judge = Judge()
    with pytest.raises(UsageError, match="which was rejected"):
        rows.approve(2)
    found = rows.rebase(2, judge)
    assert found.verdict is None and "model.py" in found.text  # both steps turn the one number of model.py
    assert rows.states() == ["rejected", "conflicting"] and not judge.asked


def test_a_conflict_shows_its_hunks_and_is_not_approved(run):  # noqa: F811
    by_hand(run, **{"model.py": "X = -1\n"})
    found = run.rebase(1, Judge())
    assert (
        "model.py:1" in found.text and "X = -1" in found.text and "X = 8" in found.text and "<<<<<<< main" in found.text
    )
    assert run.states()[0] == "conflicting" and run.model("evolve/toy/1") == "X = 8"
    with pytest.raises(UsageError, match="conflicting"):
        run.approve(1)
    assert "    X = -1" in body(run.archive, pull(run.archive, 1), "toy")


def test_one_that_is_no_better_on_the_new_ground_is_not_approved(rows):
    by_hand(rows, **{"notes.py": "# mine\n"})
    rows.rebase(1, Judge("undecided"))
    assert rows.states()[0] == "not confirmed"
    with pytest.raises(UsageError, match="not confirmed"):
        rows.approve(1)


def test_main_that_moves_after_a_rebase_makes_it_stale_again(rows):
    by_hand(rows, **{"notes.py": "# mine\n"})
    rows.rebase(1, Judge())
    by_hand(rows, **{"notes.py": "# again\n"})
    with pytest.raises(UsageError, match="stale"):
        rows.approve(1)
    rows.rebase(1, Judge())
    rows.approve(1)
    assert rows.git("show", "main:notes.py") == "# again\n"


def test_one_that_is_not_stale_is_left_alone(rows):
    with pytest.raises(UsageError, match="not stale"):
        rows.rebase(1, Judge())
    rows.approve(1)
    with pytest.raises(UsageError, match="approved already"):
        rows.rebase(1, Judge())


def test_a_look_at_a_rebased_one_is_paid_by_the_run_that_goes_on(rows):
    by_hand(rows, **{"notes.py": "# mine\n"})
    rows.rebase(1, Judge())
    before = rows.archive.looks
    longer = toy_loop(rows.folder, budget=26, proposer=Lines())
    longer.run()
    longer._journal.close()
    later = longer.archive.confirmations[before - 1 :]
    assert later and later[0].verdict.alpha == alpha_of(before)


def test_trees_merge_file_by_file():
    base = {"a": "1\n", "b": "1\n", "gone": "1\n"}
    merged, conflicts = merge_trees(base, {**base, "a": "2\n", "mine": "m\n"}, {"a": "1\n", "b": "3\n", "new": "n\n"})
    assert not conflicts and merged == {"a": "2\n", "b": "3\n", "mine": "m\n", "new": "n\n"}
    assert "took it away" in merge_trees(base, {"a": "1\n", "b": "1\n"}, {**base, "gone": "2\n"})[1]
    left = laid([Step(number=1, tree={**base, "a": "2\n"}, text="")], base, {**base, "a": "2\n"})
    assert left.steps == () and left.conflicts == ""


def test_each_part_is_measured_against_the_whole_without_it(rows):
    archive, judge = rows.archive, Judge()
    found = pull(archive, 1)
    measures = list(measured(archive, rows.lineage, found, lambda *_: None, judge))
    assert [part.name for part in measures] == [f"#{n} count" for n in found.steps]
    assert measures[0].verdict is None and "stands on it" in measures[0].reason and measures[-1].verdict is not None
    for new, old, alpha in judge.asked:
        assert new == archive.candidates[8].tree and old != new and alpha == 0.05 / len(found.steps)
    review = rows.attribute(1, measures)
    assert review.parts == tuple(measures) == pull(rows.archive, 1).reviews[-1].parts
    text = body(rows.archive, pull(rows.archive, 1), "toy")
    assert "| part | what it gives |" in text and "Not measured yet" not in text


def test_a_step_of_several_techniques_is_taken_apart(tmp_path):
    class Stacked(Counting):
        def propose(self, history, seed):
            return replace(super().propose(history, seed), technique="wide+deep")

    toy_loop(tmp_path, proposer=Stacked()).run()
    run = Reviewed(tmp_path)  # noqa: F811
    archive = run.archive
    told = parts(
        archive, run.lineage, pull(archive, 1), lambda tree, names, name: {**tree, "model.py": f"X = 1  # no {name}\n"}
    )
    assert [(less.name, less.tree) for less in told] == [
        ("#8 wide", {"model.py": "X = 1  # no wide\n"}),
        ("#8 deep", {"model.py": "X = 1  # no deep\n"}),
    ]


def test_the_body_says_what_is_not_there_yet(rows):
    text = body(rows.archive, pull(rows.archive, 1), "toy")
    assert (
        "No experiment yet" in text
        and "evolve pr attribute 1 --run toy" in text
        and "git revert -m 1 champion/1" in text
    )


def test_an_experiment_is_told_with_effect_interval_days_and_what_it_is_believed_to_be_worth(rows):
    decision = {
        "action": "promote", "reason": "evidence above the line; no guardrail lost", "effect": 0.012, "low": 0.004,
        "high": 0.02, "log_e": 9.0, "alpha": 0.01, "cohorts": 12, "users": 240_000, "shrunk": 0.009,
    }  # fmt: skip
    about = {"experiment": "challenge 1", "challenger": "8", "control": "0", "day": 3}
    started = {
        "platform": "toy", "users": 1, "slots": 1, "stages": [], "enrol": 1, "mature": 1, "tests": 1, "level": 0.1,
        "holdback": 0, "days": 9, "champion": "0",
    }  # fmt: skip
    launched = {
        **about,
        "kind": "challenge",
        "shares": {"0": 0.5, "8": 0.5},
        "traffic": 1.0,
        "reason": "",
    }
    journal = Journal(rows.folder / "journal.jsonl", Ticking())
    for kind, told in (
        ("online_started", started),
        ("launched", launched),
        ("decided", {**about, "day": 16, "decision": decision}),
    ):
        journal.append(kind, told)
    journal.close()
    text = body(rows.archive, pull(rows.archive, 1), "toy")
    assert "**promote** after 14 days and 240000 users: +1.20% [+0.40%, +2.00%]" in text
    assert "believed to be worth +0.90%" in text and "no guardrail lost" in text


def test_a_rebase_of_a_run_of_another_space_is_a_clear_error(rows):
    ended = evolve("pr", "rebase", 1, "--run", rows.folder)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr and "toy" in ended.stderr
    assert Part(name="a", verdict=None, reason="b").reason == "b"
