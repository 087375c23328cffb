"""The git repository of everything that was tried: one bare repository a run, in plain git.

`confirmed` is the search's champion, `refs/evolve/candidates/<n>` every candidate. Branch
`evolve/<run>/<n>` is pull request n, `main` what was approved, tag `champion/<n>` each approval.
Dates are the candidate's number, authors are fixed: one seed, one set of hashes. Knows nothing of
scores but what it is given as notes.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.contracts import Tree
from evolve.errors import RunError, SetupError
from evolve.git_objects import LooseObjects
from evolve.git_trees import read_trees

if TYPE_CHECKING:
    from git import Repo

CANDIDATES = "refs/evolve/candidates"
NOTES = "refs/notes/evolve/metrics"
EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z: the date of candidate 0; candidate n is n seconds younger
MAINTENANCE_EVERY = 1_000
"""Candidates between two packings; fewer loose files than a file system minds."""
SIGNATURE = "evolve <evolve@localhost>"
MEND = "Check disk space and permissions, then run the same command with --resume."


class Lineage:
    """Writes and reads candidates as commits. Writing twice what is there already changes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            _create(path)
        self._trees: dict[str, Tree] = {}
        self._objects = LooseObjects(path / "objects")

    @property
    def repository(self) -> Repo:
        """The GitPython repository."""
        import git

        try:
            return git.Repo(self.path)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise RunError(
                f"{self.path} is not a git repository", hint="Start a new run, or restore the folder from a backup."
            ) from error

    def commit(self, number: int, tree: Tree, parents: Sequence[str], message: str) -> str:
        """Commits the whole `tree` as candidate `number`; returns the commit's hash (40 hex digits)."""
        commit = self.write(f"{CANDIDATES}/{number}", number, tree, parents, message)
        if not parents:
            self._git("update-ref", "refs/heads/main", commit)
            self._git("update-ref", "refs/heads/confirmed", commit)
        elif number % MAINTENANCE_EVERY == 0:
            self.maintain()
        return commit

    def maintain(self) -> None:
        """Packs what is loose, objects and refs. Packs are joined so that each is twice the next: a long run rewrites
        little, and a command never looks through many. Whoever reads meanwhile finds everything."""
        self._git("repack", "-d", "-q", "--geometric=2")
        self._git("pack-refs", "--all", "--prune")

    def write(self, ref: str, number: int, tree: Tree, parents: Sequence[str], message: str) -> str:
        """Commits the whole `tree` with the date of candidate `number` and moves `ref` there; returns the hash."""
        try:
            commit = self._objects.commit(tree, parents, message, f"{SIGNATURE} {EPOCH + number} +0000")
            self._set_ref(ref, commit)
        except OSError as error:
            raise RunError(f"expected to write a commit to {self.path}, found: {error}", hint=MEND) from error
        self._trees[commit] = dict(tree)
        return commit

    def _set_ref(self, ref: str, commit: str) -> None:
        """Moves a ref that is this process's alone, as git does it: whole, or not at all."""
        path = self.path / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock")
        lock.write_text(f"{commit}\n")
        lock.replace(path)

    def tree(self, commit: str) -> Tree:
        """The files of a candidate: path -> text."""
        if commit not in self._trees:
            self._trees[commit] = self._read_tree(commit)
        return self._trees[commit]

    def _read_tree(self, commit: str) -> Tree:
        return read_trees([commit], self._ask)[commit]

    def read_ahead(self) -> None:
        """Reads the files of every candidate at once: whoever folds a whole run asks for all of them."""
        told = self._git("for-each-ref", "--format=%(objectname)", CANDIDATES).split()
        self._trees |= read_trees((commit for commit in told if commit not in self._trees), self._ask)

    def _ask(self, names: bytes) -> bytes:
        return self._bytes("cat-file", "--batch", stdin=names)

    def candidates(self) -> list[str]:
        """The commits of candidates 0, 1, 2, ... up to the first number that is missing."""
        told = self._git("for-each-ref", "--format=%(refname) %(objectname)", CANDIDATES).split("\n")
        found = {ref.rpartition("/")[2]: commit for ref, _, commit in (line.partition(" ") for line in told)}
        return [found[str(n)] for n in takewhile(lambda n: str(n) in found, count())]

    def listing(self, commit: str, most_bytes: int) -> str | None:
        """What `git ls-tree -r -l -z` says of a commit; None where that is longer than `most_bytes`."""
        command = ["git", "--git-dir", str(self.path), "ls-tree", "-r", "-l", "-z", "--full-tree", commit]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
            assert running.stdout is not None
            told = running.stdout.read(most_bytes + 1)
            running.kill()
        return told.decode(errors="replace") if len(told) <= most_bytes else None

    def bundle(self, file: Path) -> None:
        """Writes everything, every ref included, to a git bundle."""
        self._git("bundle", "create", "--quiet", str(file.resolve()), "--all")

    def unbundle(self, file: Path) -> None:
        """Takes every ref of a git bundle, after git has checked every object of it. Raises RunError."""
        words = ("-c", "fetch.fsckObjects=true", "-c", "core.bigFileThreshold=1m", "fetch", "--quiet", "--no-tags")
        self._git(*words, "--no-write-fetch-head", str(file.resolve()), "+refs/*:refs/*")

    def promote(self, commit: str) -> None:
        """Makes `commit` the search's champion: moves the branch `confirmed`."""
        self._git("update-ref", "refs/heads/confirmed", commit)

    def point(self, ref: str, commit: str, before: str = "") -> None:
        """Moves `ref` to `commit`. With `before`, raises RunError where it is not there now."""
        self._git("update-ref", ref, commit, *([before] if before else []))

    def drop(self, ref: str) -> None:
        """Takes a ref away."""
        self._git("update-ref", "-d", ref)

    def head(self, ref: str) -> str:
        """The commit that a ref points to, or nothing."""
        return self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", check=False).strip()

    def heads(self, under: str = "refs/heads") -> dict[str, str]:
        """Branch -> commit, of all branches, or of refs under another prefix with their full names."""
        name = "%(refname:lstrip=2)" if under == "refs/heads" else "%(refname)"
        told = self._git("for-each-ref", f"--format={name} %(objectname)", under)
        return dict(line.split(" ") for line in told.splitlines())

    def conflicts(self, ours: str, theirs: str) -> str:
        """What a merge of two commits would leave to a person: the names of files and git's messages."""
        return self._git("merge-tree", "--write-tree", "--name-only", "--messages", ours, theirs, check=False)

    def patches(self, older: str, newer: str) -> str:
        """The commits from `older` to `newer` as one file for `git am`."""
        return self._git("format-patch", "--stdout", "--no-color", "--no-ext-diff", f"{older}..{newer}")

    def diff(self, older: str, newer: str) -> str:
        """The unified diff between two commits."""
        return self._git("diff", "--no-color", "--no-ext-diff", older, newer)

    def annotate(self, notes: Mapping[str, str]) -> None:
        """Writes metrics as git notes (commit -> text), so that `git log --notes=evolve/metrics` shows them."""
        if not notes:
            return
        head = f"commit {NOTES}\ncommitter {SIGNATURE} {EPOCH} +0000\ndata 7\nmetrics\n".encode()
        body = b"".join(_data(f"N inline {commit}\n", text) for commit, text in sorted(notes.items()))
        self._git("update-ref", "-d", NOTES)
        self._git("fast-import", "--quiet", "--done", "--force", stdin=head + body + b"\ndone\n")

    def _git(self, *words: str, stdin: bytes | None = None, check: bool = True) -> str:
        return self._bytes(*words, stdin=stdin, check=check).decode()

    def _bytes(self, *words: str, stdin: bytes | None = None, check: bool = True) -> bytes:
        command = ["git", "--git-dir", str(self.path), *words]
        ended = subprocess.run(command, input=stdin, capture_output=True, check=False)
        if check and ended.returncode != 0:
            raise RunError(
                f"git {words[0]} failed in {self.path}: {ended.stderr.decode(errors='replace').strip()}",
                hint=MEND,
            )
        return ended.stdout


def require_git() -> None:
    """Raises SetupError where git is missing."""
    if shutil.which("git") is None:
        raise SetupError(
            "git was not found on PATH", hint="Install it: apt-get install git (or your system's package)."
        )


def _create(path: Path) -> None:
    require_git()
    building = path.with_name(path.name + ".new")
    shutil.rmtree(building, ignore_errors=True)
    command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(building)]
    ended = subprocess.run(command, capture_output=True, check=False)
    if ended.returncode != 0:
        raise RunError(f"git init failed in {path.parent}: {ended.stderr.decode(errors='replace').strip()}")
    building.rename(path)


def commit_stream(
    ref: str,
    date: int,
    tree: Tree,
    parents: Sequence[str],
    message: str,
    *,
    mark: int = 1,
    gone: Collection[str] | None = None,
) -> bytes:
    """One commit as `git fast-import` reads it; a parent is a hash, or the `:mark` of a commit of the same stream.

    `tree` is the whole commit; with `gone`, it is laid over the first parent's, and the paths of `gone` are taken away.
    """
    lines = [f"commit {ref}\nmark :{mark}\nauthor {SIGNATURE} {date} +0000\ncommitter {SIGNATURE} {date} +0000\n"]
    head = _data("".join(lines), message)
    links = "".join(f"{'merge' if i else 'from'} {parent}\n" for i, parent in enumerate(parents))
    cleared = "deleteall\n" if gone is None else "".join(f"D {path}\n" for path in sorted(gone))
    files = b"".join(_data(f"M 100644 inline {path}\n", tree[path]) for path in sorted(tree))
    return head + links.encode() + cleared.encode() + files


def _data(head: str, text: str) -> bytes:
    payload = text.encode()
    return f"{head}data {len(payload)}\n".encode() + payload + b"\n"
