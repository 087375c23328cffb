"""Reads the files of many commits at once: three calls of git, however many commits. Knows git's objects, no runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from evolve.contracts import Tree

Ask = Callable[[bytes], bytes]
"""What `git cat-file --batch` answers to names of objects, one a line."""

FOLDER = b"40000"
ID_BYTES = 20


def read_trees(commits: Iterable[str], ask: Ask) -> dict[str, Tree]:
    """Commit -> its files, path -> text. A file that several commits share is read, and held, once."""
    wanted = list(dict.fromkeys(commits))
    roots = dict(zip(wanted, _objects([f"{commit}^{{tree}}" for commit in wanted], ask), strict=True))
    folders = {name: _entries(content) for name, content in roots.values()}
    while missing := _missing(folders):
        folders |= {name: _entries(content) for name, content in _objects(missing, ask)}
    files = {blob for entries in folders.values() for _, blob, is_folder in entries if not is_folder}
    texts = {name: content.decode() for name, content in _objects(sorted(files), ask)}
    return {commit: dict(_walk("", name, folders, texts)) for commit, (name, _) in roots.items()}


Entry = tuple[str, str, bool]
"""Name, object, whether it is a folder."""


def _missing(folders: dict[str, list[Entry]]) -> list[str]:
    named = {child for entries in folders.values() for _, child, is_folder in entries if is_folder}
    return sorted(named - folders.keys())


def _walk(
    prefix: str, folder: str, folders: dict[str, list[Entry]], texts: dict[str, str]
) -> Iterator[tuple[str, str]]:
    for name, child, is_folder in folders[folder]:
        if is_folder:
            yield from _walk(f"{prefix}{name}/", child, folders, texts)
        else:
            yield f"{prefix}{name}", texts[child]


def _objects(names: list[str], ask: Ask) -> Iterator[tuple[str, bytes]]:
    """The id and the content of each object, in the order asked for."""
    answer = ask("".join(f"{name}\n" for name in names).encode()) if names else b""
    at = 0
    for _ in names:
        end = answer.index(b"\n", at)
        told, _, size = answer[at:end].decode().split()
        yield told, answer[end + 1 : end + 1 + int(size)]
        at = end + int(size) + 2


def _entries(content: bytes) -> list[Entry]:
    found: list[Entry] = []
    at = 0
    while at < len(content):
        end = content.index(b"\0", at)
        mode, _, name = content[at:end].partition(b" ")
        at = end + 1 + ID_BYTES
        found.append((name.decode(), content[end + 1 : at].hex(), mode == FOLDER))
    return found
