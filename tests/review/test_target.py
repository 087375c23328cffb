"""Pull requests in the user's own repository, which keeps its files, its index and its branch as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evolve.config import StartConfig
from evolve.contracts import Failed
from evolve.errors import UsageError
from evolve.journal import Journal
from evolve.lineage import Lineage
from evolve.review.desk import Desk
from evolve.run_folder import RunFolder
from evolve.target import Target
from evolve.target_wiring import Gated, targeted
from sandbox.local import LocalSandbox
from sandbox.tests import run_tests
from tests.cli.test_cli import evolve
from tests.review.test_pulls import Reviewed
from tests.toys import SEED_TREE, Scoring, Ticking, number_in, toy_loop


class Repository:
    """A user's repository with a file that is changed and not committed, and one that is staged."""

    def __init__(self, folder: Path, *, with_tree: bool = True) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "trunk")
        (folder / "README.md").write_text("mine\n")
        (folder / "src").mkdir()
        if with_tree:
            (folder / "src/ranker").mkdir()
            (folder / "src/ranker/model.py").write_text(SEED_TREE["model.py"])
            (folder / "src/ranker/notes.txt").write_text("beside\n")
        (folder / "logo.bin").write_bytes(b"\xff\x00\xfe")
        self.git("add", ".")
        self.commit("mine")
        (folder / "README.md").write_text("changed by hand\n")
        (folder / "staged.py").write_text("x = 1\n")
        self.git("add", "staged.py")

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.folder), "-c", "user.name=me", "-c", "user.email=me@x", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def commit(self, text: str) -> None:
        self.git("commit", "-qm", text)

    def state(self) -> tuple[str, str, str, str]:
        """Everything that must not move."""
        return self.git("status", "--porcelain"), self.git("diff"), self.git("diff", "--cached"), self.git("log", "-1")

    def model(self, ref: str) -> str:
        return self.git("show", f"{ref}:src/ranker/model.py").strip()


@pytest.fixture
def mine(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "mine")


def run_in(repository: Repository, folder: Path) -> Reviewed:
    """Two promotions, 8 and 16, in a run that was started in the repository."""
    loop = toy_loop(folder)
    target = Target.found(repository.folder, "src/ranker")
    loop._started = {**loop._started, "target": target.to_json()}
    loop.run()
    loop._journal.close()
    opened = Opened(folder)
    opened.open_all()
    return opened


class Opened(Reviewed):
    """A reviewed run that may write to the user's repository."""

    def desk(self) -> Desk:
        return Desk(
            "toy", self.archive, self.lineage, Journal(self.folder / "journal.jsonl", Ticking()), to_target=True
        )

    def __getattr__(self, name: str):
        return getattr(self.desk(), name)


def test_promotions_open_branches_and_touch_nothing_of_the_users(mine, tmp_path):
    before = mine.state()
    run_in(mine, tmp_path / "toy")
    assert mine.git("branch", "--list", "evolve/*", "--format=%(refname:short)").split() == [
        "evolve/toy/1",
        "evolve/toy/2",
    ]
    assert mine.model("evolve/toy/1") == "X = 8" and mine.model("evolve/toy/2") == "X = 16"
    assert mine.git("show", "evolve/toy/2:src/ranker/notes.txt") == "beside\n"
    assert mine.git("log", "--format=%s", "trunk..evolve/toy/2").splitlines() == [
        "count: 16 is better",
        "count: 8 is better",
    ]
    assert mine.git("diff", "--name-only", "trunk", "evolve/toy/2").split() == ["src/ranker/model.py"]
    assert mine.state() == before and not mine.git("for-each-ref", "refs/evolve")
    mine.git("fsck", "--strict")


def test_opening_again_changes_nothing_and_makes_what_was_deleted(mine, tmp_path):
    run = run_in(mine, tmp_path / "toy")
    heads = mine.git("rev-parse", "evolve/toy/1", "evolve/toy/2")
    run.open_all()
    assert mine.git("rev-parse", "evolve/toy/1", "evolve/toy/2") == heads
    mine.git("branch", "-D", "evolve/toy/2")
    run.open_all()
    assert mine.git("rev-parse", "evolve/toy/1", "evolve/toy/2") == heads


def test_an_approval_leaves_the_checked_out_branch_and_says_the_command(mine, tmp_path):
    run, before = run_in(mine, tmp_path / "toy"), mine.state()
    desk = run.desk()
    desk.approve(1)
    assert mine.state() == before
    assert "git merge --ff-only evolve/toy/champion/1" in desk.said_of_target
    mine.git("stash", "-q")
    mine.git("merge", "-q", "--ff-only", "evolve/toy/champion/1")
    assert mine.model("trunk") == "X = 8"
    assert len(mine.git("log", "-1", "--format=%P", "trunk").split()) == 2


def test_an_approval_moves_a_branch_that_is_not_checked_out_over_what_came_meanwhile(mine, tmp_path):
    run = run_in(mine, tmp_path / "toy")
    mine.commit("staged came")
    mine.git("stash", "-q")
    mine.git("checkout", "-q", "-b", "elsewhere")
    run.approve(1)
    assert mine.model("trunk") == "X = 8" and mine.git("show", "trunk:staged.py") == "x = 1\n"
    run.approve(2)
    assert mine.model("trunk") == "X = 16" and run.states() == ["approved", "approved"]


def test_a_conflict_in_the_users_repository_is_said_and_nothing_is_approved(mine, tmp_path):
    run = run_in(mine, tmp_path / "toy")
    mine.git("stash", "-q")
    (mine.folder / "src/ranker/model.py").write_text("X = -5\n")
    mine.git("commit", "-qam", "by hand")
    with pytest.raises(UsageError, match=r"(?s)can't be merged.*CONFLICT.*model\.py"):
        run.approve(1)
    assert run.states() == ["open", "open"] and run.model("main") == "X = 0"


def test_a_branch_that_the_user_is_looking_at_is_never_moved(mine, tmp_path):
    run = run_in(mine, tmp_path / "toy")
    mine.git("stash", "-q")
    mine.git("checkout", "-q", "evolve/toy/1")
    before = mine.state()
    run.open_all()
    run.approve(1)
    assert mine.state() == before and mine.model("trunk") == "X = 8"


def test_a_folder_that_is_not_there_yet_begins_with_the_spaces_seed(tmp_path):
    bare = Repository(tmp_path / "mine", with_tree=False)
    run_in(bare, tmp_path / "toy")
    told = bare.git("log", "--format=%s", "trunk..evolve/toy/1").splitlines()
    assert told == ["count: 8 is better", "The files of toy as the search began with"]


def test_a_run_that_came_from_elsewhere_writes_to_no_repository(mine, tmp_path):
    run = run_in(mine, tmp_path / "toy")
    mine.git("branch", "-D", "evolve/toy/1", "evolve/toy/2")
    Reviewed(run.folder).open_all()
    assert not mine.git("branch", "--list", "evolve/*")


@pytest.mark.parametrize("path", ["/etc", "../up", "-x", ".git/hooks", "a//b", ""])
def test_a_path_outside_the_repository_is_refused(mine, path):
    with pytest.raises(UsageError, match="--path"):
        Target.found(mine.folder, path)


def test_what_is_no_repository_and_what_lacks_files_is_said(mine, tmp_path):
    with pytest.raises(UsageError, match="no git repository with a commit"):
        Target.found(tmp_path, "src")
    with pytest.raises(UsageError, match=r"lacks loss\.py"):
        Target.found(mine.folder, "src/ranker").seed({**SEED_TREE, "loss.py": ""})
    assert Target.found(mine.folder, "src/ranker").seed({"model.py": ""}) == SEED_TREE


def test_the_users_tests_are_a_gate_in_the_sandbox(mine):
    beside = Target.found(mine.folder, "src/ranker").beside()
    assert "logo.bin" not in beside and beside["README.md"] == "mine\n"
    test = "import sys; sys.path.insert(0, 'src'); from ranker.model import X; assert X < 10, X"
    sandbox = LocalSandbox()
    try:
        good, bad = ({**beside, "src/ranker/model.py": f"X = {x}\n"} for x in (8, 16))
        assert run_tests(sandbox, good, ["python", "-c", test]) is None
        assert "AssertionError: 16" in (run_tests(sandbox, bad, ["python", "-c", test]) or "")
        assert "no-such-command" in (run_tests(sandbox, good, ["no-such-command"]) or "")
    finally:
        sandbox.close()


def test_a_candidate_that_breaks_the_users_tests_is_never_promoted(tmp_path):
    def failure(tree):
        return "1 failed" if number_in(tree) == 8 else None

    loop = toy_loop(tmp_path / "toy", evaluator=Gated(evaluator=Scoring(), failure=failure))
    loop.run()
    assert [look.number for look in loop.archive.promoted] == [16]
    outcome = loop.archive.outcome(8)
    assert isinstance(outcome, Failed) and (outcome.rung, outcome.detail) == ("tests", "1 failed")


def test_an_imported_runs_repository_is_never_opened_nor_its_tests_run(tmp_path):
    from search_spaces.space import load

    folder, space = RunFolder(tmp_path / "run"), load("video_ranking")
    folder.path.mkdir()
    lineage, journal = Lineage(folder.lineage), Journal(folder.journal, Ticking())
    seed = {**space.seed, "train.py": "# mine\n" + space.seed["train.py"]}
    commit = lineage.commit(0, seed, (), "seed")
    told = {"repository": str(tmp_path), "path": "src", "base": "HEAD", "branch": "", "tests": "touch stolen"}
    journal.append("started", {"seed_commit": commit, "target": told})
    mine, target = targeted(space, StartConfig(), folder, journal, lineage)
    assert mine.seed == seed and mine.digest != space.digest and target is not None and target.tests == "touch stolen"
    folder.manifest.write_text("{}")
    theirs, nothing = targeted(space, StartConfig(), folder, journal, lineage)
    assert nothing is None and theirs.digest == mine.digest
    journal.close()


def test_the_command_refuses_half_of_it_and_what_is_no_seed(mine):
    half = evolve("start", "--repo", mine.folder)
    assert half.returncode == 2 and "--repo and --path go together" in half.stderr
    lacks = evolve("start", "--repo", mine.folder, "--path", "src/ranker", "--sandbox", "local", "--out", mine.folder)
    assert lacks.returncode == 2 and "lacks architecture.py" in lacks.stderr and "Traceback" not in lacks.stderr
    assert not list(mine.folder.glob("video_ranking*"))
