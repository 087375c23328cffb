"""Edits of real files whose meant result is known without any parser, written down as a model might, or spoilt.

Knows nothing of the reader of answers.
"""

from __future__ import annotations

import ast
import difflib
import random
from dataclasses import dataclass

from search_spaces.space import load

NEVER = "¤"
"""A character that no file holds."""
WORDS = (
    "Here is the change.",
    "I think a wider layer helps:",
    "",
    "Note that x < y > z == w.",
    "- a list\n- of points",
)
LINES = (
    "x = 1",
    "    return total",
    "        value = value * 2",
    "",
    "def helper():",
    "    pass",
    "# comment",
    "y += 3  ",
)


@dataclass(frozen=True, kw_only=True)
class Meant:
    """An answer, the trees that it may rightly give, and whether it must give the last of them."""

    text: str
    tree: dict[str, str]
    editable: tuple[str, ...]
    results: tuple[dict[str, str], ...]
    must_land: bool
    by_syntax: bool = False


@dataclass(frozen=True, kw_only=True)
class Splice:
    """One edit: `old` lines of `path` become `new` lines. `alone`: stripped, they stand in one place of one file."""

    path: str
    start: int
    old: list[str]
    new: list[str]
    alone: bool


def trees() -> list[tuple[dict[str, str], tuple[str, ...]]]:
    spaces = [load(name) for name in ("video_ranking", "next_item")]
    return [({**space.seed, "harness.py": "LABELS = 1\n"}, space.editable) for space in spaces]


def stands(text: str, wanted: list[str]) -> int:
    """How often lines stand in a text, their indentation and trailing spaces apart."""
    have = [line.strip() for line in text.splitlines()]
    want = [line.strip() for line in wanted]
    return sum(have[i : i + len(want)] == want for i in range(len(have) - len(want) + 1))


def spliced(
    rng: random.Random, tree: dict[str, str], editable: tuple[str, ...], count: int
) -> tuple[list[Splice], list[dict[str, str]]]:
    """Edits one after the other, and the tree after each."""
    edits: list[Splice] = []
    after: list[dict[str, str]] = []
    now = dict(tree)
    for _ in range(count):
        path = rng.choice(editable)
        lines = now[path].splitlines()
        start = rng.randrange(len(lines))
        old = lines[start : start + rng.randint(1, 6)]
        new = list(old)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(new) + 1)
            new[at : at + rng.randint(0, 2)] = rng.choices(LINES, k=rng.randint(0, 2))
        everywhere = [stands(now[name], old) for name in editable]
        alone = any(line.strip() for line in old) and sum(everywhere) == 1
        edits.append(Splice(path=path, start=start, old=old, new=new, alone=alone))
        now = {**now, path: "".join(f"{line}\n" for line in [*lines[:start], *new, *lines[start + len(old) :]])}
        after.append(now)
    return edits, after


def shifted(lines: list[str], by: str) -> list[str]:
    return [by + line if line.strip() else line for line in lines]


def block(rng: random.Random, edit: Splice, *, named: bool = True, typo: bool = False) -> str:
    """One block as models write them."""
    by = rng.choice(["", "", "    ", "  ", "\t"])
    search, replace = shifted(edit.old, by), shifted(edit.new, by)
    if not by and rng.random() < 0.3:
        search = [line + rng.choice(["", " ", "   "]) for line in search]
    if typo:
        at = rng.choice([i for i, line in enumerate(search) if line.strip()])
        cut = rng.randrange(len(search[at]) + 1)
        search[at] = search[at][:cut] + NEVER + search[at][cut:]
    name = edit.path
    if rng.random() < 0.1:
        search, replace = ["```python", *search, "```"], ["```python", *replace, "```"]
    middle = "=" * rng.choice([7, 7, 7, 6, 8]) + rng.choice(["", " "])
    where = rng.choice([f"{name}\n", f"`{name}`\n", f"### {name}:\n", f"File: {name}\n\n", f"```python {name}\n"])
    opens, closes = "<<<<<<< SEARCH" + rng.choice(["", " "]), ">>>>>>> REPLACE"
    fence = "```\n" if where.startswith("```") else ""
    body = "\n".join([opens, *search, middle, *replace, closes])
    return f"{where if named else 'Change this:'}\n{body}\n{fence}" if named else f"Change this:\n{body}\n"


def blocks(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant:
    edits, after = spliced(rng, tree, editable, rng.choice([1, 1, 2, 3]))
    named = rng.random() < 0.85
    text = rng.choice(WORDS) + "\n\n" + "\n".join(block(rng, edit, named=named) for edit in edits)
    if rng.random() < 0.3:
        text = text.replace("\n", "\r\n")
    lands = all(edit.alone for edit in edits) and after[-1] != tree
    return Meant(text=text, tree=tree, editable=editable, results=(after[-1],), must_land=lands and named)


def returns(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant:
    """Files whose lines end as in Windows."""
    edits, after = spliced(rng, tree, editable, 1)
    files = {path: text.replace("\n", "\r\n") for path, text in tree.items()}
    result = {path: text.replace("\n", "\r\n") for path, text in after[-1].items()}
    lands = edits[0].alone and after[-1] != tree
    return Meant(text=block(rng, edits[0]), tree=files, editable=editable, results=(result,), must_land=lands)


def cut(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant:
    """An answer that ends anywhere: only edits that were whole may be made."""
    edits, after = spliced(rng, tree, editable, rng.choice([1, 2, 3]))
    text = "\n".join(block(rng, edit) for edit in edits)
    return Meant(
        text=text[: rng.randrange(len(text))], tree=tree, editable=editable, results=tuple(after), must_land=False
    )


def unified(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> tuple[str, dict[str, str], bool]:
    edits, after = spliced(rng, tree, editable, 1)
    path = edits[0].path
    old, new = tree[path].splitlines(), after[0][path].splitlines()
    context = rng.choice([3, 3, 3, 0, 1, 10])
    lines = list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=context, lineterm=""))
    return "\n".join(lines) + "\n", after[0], after[0] != tree


def hunks(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant:
    text, result, _ = unified(rng, tree, editable)
    if rng.random() < 0.3:
        wrong = [
            f"@@ -{rng.randint(1, 99)},9 +{rng.randint(1, 99)},9 @@" if x.startswith("@@") else x
            for x in text.split("\n")
        ]
        text = "\n".join(wrong)
    if rng.random() < 0.3:
        text = "\n".join(line.rstrip() if not line.strip() else line for line in text.split("\n"))
    if rng.random() < 0.6:
        text = f"{rng.choice(WORDS)}\n```diff\n{text}```\n"
    if rng.random() < 0.3:
        text = text.replace("\n", "\r\n")
    return Meant(text=text, tree=tree, editable=editable, results=(result,), must_land=False)


def cut_hunks(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant:
    """A unified diff that ends anywhere: whole hunks alone may be made."""
    edits, after = spliced(rng, tree, editable, 1)
    path = edits[0].path
    old, new = tree[path].splitlines(), after[0][path].splitlines()
    matcher = difflib.SequenceMatcher(None, old, new)
    results, text = [], f"--- a/{path}\n+++ b/{path}\n"
    now, moved = list(old), 0
    for group in matcher.get_grouped_opcodes(3):
        first, last = group[0], group[-1]
        text += f"@@ -{first[1] + 1},{last[2] - first[1]} +{first[3] + 1},{last[4] - first[3]} @@\n"
        for tag, i, j, k, m in group:
            if tag == "equal":
                text += "".join(f" {line}\n" for line in old[i:j])
            else:
                text += "".join(f"-{line}\n" for line in old[i:j]) + "".join(f"+{line}\n" for line in new[k:m])
                now[i + moved : j + moved] = new[k:m]
                moved += (m - k) - (j - i)
        results.append({**tree, path: "".join(f"{line}\n" for line in now)})
    return Meant(
        text=text[: rng.randrange(len(text))], tree=tree, editable=editable, results=tuple(results), must_land=False
    )


def functions(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant:
    """A whole top-level function, its body changed."""
    path = rng.choice(editable)
    lines = tree[path].splitlines()
    found = [node for node in ast.parse(tree[path]).body if isinstance(node, ast.FunctionDef)]
    if not found:
        return blocks(rng, tree, editable)
    node = rng.choice(found)
    start, end = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1, node.end_lineno or 0
    indent = " " * node.body[-1].col_offset
    last = node.body[-1].lineno - 1
    new = [*lines[start:last], f"{indent}extra = {rng.randint(0, 99)}", *lines[last:end]]
    result = {**tree, path: "\n".join([*lines[:start], *new, *lines[end:]]) + "\n"}
    name = rng.choice([f"{path}\n```python\n", f"```python\n# {path}\n", f"`{path}`:\n\n```python\n"])
    text = rng.choice(WORDS) + "\n\n" + name + "\n".join(new) + "\n```\n"
    return Meant(text=text, tree=tree, editable=editable, results=(result,), must_land=True, by_syntax=True)


def spoilt(rng: random.Random, tree: dict[str, str], editable: tuple[str, ...]) -> Meant:
    """What must be refused: a typing error in an anchor, a file that may not change, markers doubled or missing."""
    edits, _ = spliced(rng, tree, editable, 1)
    edit = edits[0]
    if not any(line.strip() for line in edit.old):
        return blocks(rng, tree, editable)
    text = block(rng, edit)
    match rng.randrange(5):
        case 0:
            text = block(rng, edit, typo=True)
        case 1:
            text = text.replace(edit.path, "harness.py")
        case 2:
            text = text.replace(">>>>>>> REPLACE", "=======\n>>>>>>> REPLACE")
        case 3:
            text = text.replace(edit.path, rng.choice(["../x.py", "/etc/passwd", "other.py", "a/b/c.py"]))
        case _:
            text = text.replace(">>>>>>> REPLACE", "")
    return Meant(text=text, tree=tree, editable=editable, results=(), must_land=False)
