"""The user's own repository, to which a run brings its pull requests. Reads commits and writes refs of its own alone.

Never touches a working tree, an index or a branch that is checked out. Knows git and one folder of the repository, in
which the candidate's tree lives; knows no run but its name.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.contracts import Tree
from evolve.errors import RunError, UsageError
from evolve.lineage import EPOCH, SIGNATURE, commit_stream

SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
MOST_TEST_BYTES = 16 << 20
"""Of the repository's text files, staged beside a candidate for the user's tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One commit of a pull request: the whole candidate tree after it, and its message."""

    number: int
    tree: Tree
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A repository, the folder in it, the commit and the branch that were checked out when the run began, and the
    command that runs the user's tests (none: empty)."""

    repository: Path
    path: str
    base: str
    branch: str
    tests: str = ""

    @classmethod
    def found(cls, repository: Path, path: str, tests: str = "") -> Target:
        """The repository as it is now. Raises UsageError where it can't be used."""
        if not SAFE_PATH.fullmatch(path):
            raise UsageError(f"--path is `{path}`; expected a folder inside the repository", hint="--path src/ranker")
        whole = repository.resolve()
        if not whole.is_dir():
            raise UsageError(f"--repo {repository} is not a folder", hint="Give the folder of a git repository.")
        probe = cls(repository=whole, path=path, base="HEAD", branch="", tests=tests)
        base = probe._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False).strip()
        if not base:
            raise UsageError(
                f"--repo {repository} is no git repository with a commit", hint="git init, add and commit first."
            )
        branch = probe._git("symbolic-ref", "--quiet", "HEAD", check=False).strip()
        return cls(repository=whole, path=path, base=base, branch=branch, tests=tests)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Target | None:
        """What the first record of a run says; None where it has no repository of a user's."""
        told = settings.get("target")
        if not told:
            return None
        names = ("path", "base", "branch", "tests")
        return cls(repository=Path(told["repository"]), **{name: str(told[name]) for name in names})

    def to_json(self) -> dict[str, str]:
        """For the first record of a run."""
        return {
            "repository": str(self.repository),
            "path": self.path,
            "base": self.base,
            "branch": self.branch,
            "tests": self.tests,
        }

    def seed(self, expected: Tree) -> Tree:
        """The candidate's files at the base; `expected` (a space's own seed) where the folder is not there yet.

        Raises UsageError where the folder is there and lacks some of them.
        """
        names = [name for name, _ in self._listing(self.path)]
        if not names:
            return dict(expected)
        missing = sorted(set(expected) - {name.removeprefix(f"{self.path}/") for name in names})
        if missing:
            raise UsageError(
                f"{self.path} of {self.repository} lacks {', '.join(missing)}",
                hint="A space's tree has a fixed set of files: take another --path, or add them (`evolve spaces`).",
            )
        return {name: self._text(f"{self.path}/{name}") for name in sorted(expected)}

    def holds_tree(self) -> bool:
        """Whether the candidate's folder is there at the base."""
        return bool(self._listing(self.path))

    def beside(self) -> Tree:
        """Every text file of the repository at the base, for the user's tests; binary ones are left out."""
        files: dict[str, str] = {}
        for name, size in self._listing(""):
            if size <= MOST_TEST_BYTES and SAFE_PATH.fullmatch(name):
                try:
                    files[name] = self._bytes("cat-file", "blob", f"{self.base}:{name}").decode()
                except UnicodeDecodeError:
                    continue
        if sum(map(len, files.values())) > MOST_TEST_BYTES:
            raise UsageError(
                f"{self.repository} holds more than {MOST_TEST_BYTES >> 20} MiB of text", hint="Leave --tests out."
            )
        return files

    def open(self, name: str, onto: str, before: Tree, steps: Iterable[Step]) -> str:
        """Makes the branch `name` with one commit a step, on top of `onto`; returns its last commit."""
        tip, ref = onto, f"refs/evolve/opening/{name}"
        for step in steps:
            tip = self._import(ref, tip, step, before)
            before = step.tree
        self._require_free(f"refs/heads/{name}")
        self._git("update-ref", f"refs/heads/{name}", tip)
        self._git("update-ref", "-d", ref)
        return tip

    def merge(self, tag: str, head: str, step: Step) -> tuple[str, bool]:
        """Merges `head` into the branch: a real merge commit under the tag `tag`; returns it, and whether the branch
        went there. A branch that is checked out stays, since its files would no longer be those of its commit.

        Raises UsageError with git's list of conflicts where both changed the same lines.
        """
        onto = self.head(self.branch) if self.branch else self.base
        if there := self.head(f"refs/tags/{tag}"):
            return there, self._holds(onto, there)
        ended = self._run("merge-tree", "--write-tree", "--messages", onto, head)
        tree, _, said = ended.stdout.decode(errors="replace").partition("\n")
        if ended.returncode:
            raise UsageError(f"{tag} can't be merged into {self.branch or onto}:\n{said.strip()}")
        date = f"{EPOCH + step.number} +0000"
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _signed(date)}
        words = ("commit-tree", tree, "-p", onto, "-p", head, "-m", step.text)
        merge = self._run(*words, more=who, check=True).stdout.decode().strip()
        self._git("update-ref", f"refs/tags/{tag}", merge)
        free = bool(self.branch) and self.branch not in self._checked_out()
        if free:
            self._git("update-ref", self.branch, merge, onto)
        return merge, free

    def head(self, ref: str) -> str:
        """The commit of a ref, or nothing."""
        return self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", check=False).strip()

    def _holds(self, tip: str, commit: str) -> bool:
        return self._run("merge-base", "--is-ancestor", commit, tip).returncode == 0

    def _import(self, ref: str, tip: str, step: Step, before: Tree) -> str:
        files = {f"{self.path}/{name}": text for name, text in step.tree.items()}
        gone: Collection[str] = [f"{self.path}/{name}" for name in before if name not in step.tree]
        stream = commit_stream(ref, EPOCH + step.number, files, (tip,), step.text, gone=gone)
        told = self._bytes("fast-import", "--quiet", "--done", "--force", stdin=stream + b"get-mark :1\ndone\n")
        return told.decode().strip()

    def _require_free(self, ref: str) -> None:
        if ref in self._checked_out():
            raise RunError(
                f"{ref.removeprefix('refs/heads/')} is checked out in {self.repository}",
                hint="Check out another branch there, then give the command again.",
            )

    def _checked_out(self) -> set[str]:
        told = self._git("worktree", "list", "--porcelain").splitlines()
        bare = self._git("rev-parse", "--is-bare-repository").strip() == "true"
        return set() if bare else {line.removeprefix("branch ") for line in told if line.startswith("branch ")}

    def _listing(self, folder: str) -> list[tuple[str, int]]:
        words = ("ls-tree", "-r", "-l", "-z", "--full-tree", self.base, *([f"{folder}/"] if folder else []))
        entries = (entry.split("\t", 1) for entry in self._git(*words).split("\0") if entry)
        return [(name, int(meta.split()[3])) for meta, name in entries if meta.split()[1] == "blob"]

    def _text(self, name: str) -> str:
        try:
            return self._bytes("cat-file", "blob", f"{self.base}:{name}").decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{name} of {self.repository} is not UTF-8 text") from error

    def _git(self, *words: str, check: bool = True) -> str:
        return self._run(*words, check=check).stdout.decode(errors="replace")

    def _bytes(self, *words: str, stdin: bytes | None = None) -> bytes:
        return self._run(*words, stdin=stdin, check=True).stdout

    def _run(
        self, *words: str, stdin: bytes | None = None, check: bool = False, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """One call of git, which looks at this repository whatever the environment names."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        command = ["git", "-C", str(self.repository), *words]
        ended = subprocess.run(
            command, input=stdin, capture_output=True, check=False, env={**environment, **(more or {})}
        )
        if check and ended.returncode:
            said = ended.stderr.decode(errors="replace").strip()
            raise RunError(f"git {words[0]} failed in {self.repository}: {said}", hint="Mend that, and try again.")
        return ended


def _signed(date: str) -> list[tuple[str, str]]:
    name, _, address = SIGNATURE.partition(" <")
    return [("NAME", name), ("EMAIL", address.rstrip(">")), ("DATE", date)]
