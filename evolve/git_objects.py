"""Writes commits into a repository as loose objects, with no process: a commit costs a few files, not two programs.

Knows git's objects; knows no run, and no ref.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from evolve.contracts import Tree

FILE, FOLDER = b"100644", b"40000"


class LooseObjects:
    """The folder `objects` of a repository. What this object stored already is not written again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._there: set[bytes] = set()

    def commit(self, tree: Tree, parents: Sequence[str], message: str, who: str) -> str:
        """Stores the whole `tree` (path -> text) and a commit of it; returns the commit's hash (40 hex digits).

        `who` is name, address and date, of author and committer alike. Raises OSError.
        """
        lines = [f"tree {self._tree(tree).hex()}", *(f"parent {parent}" for parent in parents)]
        text = "\n".join([*lines, f"author {who}", f"committer {who}", "", message])
        return self._store(b"commit", text.encode()).hex()

    def _tree(self, tree: Tree) -> bytes:
        entries: dict[bytes, tuple[bytes, bytes]] = {}
        folders: dict[str, dict[str, str]] = {}
        for path, text in tree.items():
            folder, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(folder, {})[rest] = text
            else:
                entries[path.encode()] = (FILE, self._store(b"blob", text.encode()))
        # Git sorts a folder as if its name ended in a slash.
        entries |= {f"{name}/".encode(): (FOLDER, self._tree(below)) for name, below in folders.items()}
        lines = (mode + b" " + name.rstrip(b"/") + b"\0" + found for name, (mode, found) in sorted(entries.items()))
        return self._store(b"tree", b"".join(lines))

    def _store(self, kind: bytes, content: bytes) -> bytes:
        name = hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).digest()
        if name not in self._there:
            self._write(kind, content)
            self._there.add(name)
        return name

    def _write(self, kind: bytes, content: bytes) -> None:
        from gitdb import IStream, LooseObjectDB

        LooseObjectDB(str(self._folder)).store(IStream(kind, len(content), BytesIO(content)))
