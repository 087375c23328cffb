"""The lineage: plain git, the same hashes for the same steps."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.errors import RunError
from evolve.git_objects import LooseObjects
from evolve.lineage import EPOCH, SIGNATURE, Lineage, commit_stream

TREE = {"model.py": "WIDTH = 1\n", "deep/loss.py": "# naïve — ünïcode\n"}


def git(lineage: Lineage, *words: str) -> str:
    command = ["git", "--git-dir", str(lineage.path), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_tree_reads_back_as_it_was_committed(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    commit = lineage.commit(0, TREE, (), "seed")
    assert lineage.tree(commit) == Lineage(tmp_path / "l.git").tree(commit) == TREE


def test_the_same_steps_give_the_same_hashes_in_another_folder(tmp_path):
    def play(name: str) -> str:
        lineage = Lineage(tmp_path / name)
        first = lineage.commit(0, TREE, (), "seed")
        return lineage.commit(1, {**TREE, "model.py": "WIDTH = 2\n"}, (first,), "wider")

    assert play("a.git") == play("b.git")


def test_committing_twice_changes_nothing(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    assert lineage.commit(0, TREE, (), "seed") == lineage.commit(0, TREE, (), "seed")


def test_a_combination_of_two_parents_is_a_merge_commit(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    first = lineage.commit(0, TREE, (), "seed")
    second = lineage.commit(1, {**TREE, "model.py": "WIDTH = 2\n"}, (first,), "wider")
    merged = lineage.commit(2, TREE, (first, second), "both")
    assert git(lineage, "log", "-1", "--format=%P", merged).split() == [first, second]


def test_a_file_that_a_candidate_drops_is_gone_from_its_commit(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    first = lineage.commit(0, TREE, (), "seed")
    assert lineage.tree(lineage.commit(1, {"model.py": "x = 1\n"}, (first,), "less")) == {"model.py": "x = 1\n"}


def test_a_promotion_moves_the_confirmed_branch_and_leaves_main_to_a_reviewer(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    first = lineage.commit(0, TREE, (), "seed")
    second = lineage.commit(1, {"model.py": "x = 1\n"}, (first,), "less")
    assert git(lineage, "rev-parse", "main").strip() == first
    lineage.promote(second)
    assert git(lineage, "rev-parse", "main", "confirmed").split() == [first, second]


def test_metrics_stand_in_the_log_as_notes(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    commit = lineage.commit(0, TREE, (), "seed")
    lineage.annotate({commit: "scored 0.5"})
    assert "scored 0.5" in git(lineage, "log", "--notes=evolve/metrics", "-1", "main")


def test_the_repository_is_sound_for_git(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    commit = lineage.commit(0, TREE, (), "seed")
    lineage.commit(1, {"model.py": "x = 1\n"}, (commit,), "less")
    git(lineage, "fsck", "--strict")


def test_many_trees_are_read_at_once_as_they_are_read_alone(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    parents: tuple[str, ...] = ()
    for n in range(5):
        parents = (lineage.commit(n, {**TREE, f"deep/er/{n % 2}.py": f"N = {n}\n"}, parents, f"step {n}"),)
    ahead, alone = Lineage(lineage.path), Lineage(lineage.path)
    ahead.read_ahead()
    assert ahead._trees == {commit: alone.tree(commit) for commit in lineage.candidates()}


def test_a_long_run_is_packed_and_reads_as_before(tmp_path, monkeypatch):
    monkeypatch.setattr("evolve.lineage.MAINTENANCE_EVERY", 4)
    lineage = Lineage(tmp_path / "l.git")
    parents: tuple[str, ...] = ()
    for n in range(10):
        parents = (lineage.commit(n, {**TREE, "n.py": f"N = {n}\n"}, parents, f"step {n}"),)
    assert (lineage.path / "packed-refs").read_text().count("refs/evolve/candidates/") == 9
    assert len(list((lineage.path / "objects/pack").glob("*.pack"))) <= 2
    assert [Lineage(lineage.path).tree(c)["n.py"] for c in lineage.candidates()] == [f"N = {n}\n" for n in range(10)]
    git(lineage, "fsck", "--strict")


NAMES = st.text("ab.-_0Z", min_size=1, max_size=4).filter(lambda name: name.strip("."))
TEXTS = st.text(max_size=20)
DEEP = st.recursive(TEXTS, lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=4), max_leaves=8)


def flat(tree, prefix=""):
    if isinstance(tree, str):
        return {prefix.rstrip("/"): tree}
    return {path: text for name, below in tree.items() for path, text in flat(below, f"{prefix}{name}/").items()}


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """What `git fast-import` makes of a commit."""
    path = tmp_path_factory.mktemp("git") / "there.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)

    def made(tree, parents, message):
        stream = commit_stream("refs/heads/x", EPOCH + 7, tree, parents, message) + b"get-mark :1\ndone\n"
        command = ["git", "--git-dir", str(path), "fast-import", "--quiet", "--done", "--force"]
        return subprocess.run(command, input=stream, capture_output=True, check=True).stdout.decode().strip()

    return made


@given(st.dictionaries(NAMES, DEEP, min_size=1, max_size=5), TEXTS, st.integers(0, 2))
def test_a_commit_is_the_one_that_git_itself_would_make(imported, tmp_path_factory, nested, message, count):
    tree = flat(nested)
    parents = [imported({"parent": str(number)}, (), "parent") for number in range(count)]
    objects = LooseObjects(tmp_path_factory.mktemp("objects"))
    made = objects.commit(tree, parents, message, f"{SIGNATURE} {EPOCH + 7} +0000")
    assert made == imported(tree, parents, message)


def test_git_finds_nothing_wrong_with_a_lineage(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    first = lineage.commit(0, TREE, (), "seed")
    lineage.commit(1, {**TREE, "deep/er/x.py": ""}, (first,), "more")
    lineage.maintain()
    lineage.commit(2, TREE, (first,), "less")
    assert git(lineage, "fsck", "--strict", "--full") == ""


def test_a_stale_lock_of_a_killed_run_does_not_stop_the_next(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    first = lineage.commit(0, TREE, (), "seed")
    (lineage.path / "refs/evolve/candidates/1.lock").write_text("half")
    assert lineage.commit(1, TREE, (first,), "again") == lineage.candidates()[1]


def test_a_folder_that_can_not_be_written_is_said(tmp_path):
    lineage = Lineage(tmp_path / "l.git")
    (lineage.path / "refs/evolve").write_text("a file where a folder must be")
    with pytest.raises(RunError, match="expected to write a commit"):
        lineage.commit(0, TREE, (), "seed")
