"""The static gate: reads a candidate's text and refuses what can't be meant well, before anything runs.

It is a gate against accidents and cheap tricks (a file too many, a typing error, `open(...)`), so that they cost
nothing. It is not the wall: Python has more ways out than any list can name, and the sandbox is what holds hostile
code. Knows the space's rules; never imports or runs the candidate.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from evolve.contracts import Tree
from evolve.syntax import parsed

ALLOWED_IMPORTS = frozenset(
    {"__future__", "collections", "dataclasses", "functools", "itertools", "math", "numpy", "torch", "typing"}
)
FORBIDDEN_NAMES = frozenset(
    {"__import__", "__builtins__", "__loader__", "__spec__", "exec", "eval", "open", "compile", "globals", "locals"}
    | {"vars", "breakpoint", "input", "exit", "quit", "help"}
)
ALLOWED_DUNDERS = frozenset(
    {"__init__", "__post_init__", "__call__", "__len__", "__getitem__", "__setitem__", "__iter__", "__next__"}
    | {"__name__", "__doc__", "__version__", "__enter__", "__exit__", "__repr__"}
)
FORBIDDEN_PATHS = (
    *("torch.load", "torch.save", "torch.hub", "torch.package", "torch.distributed", "torch.multiprocessing"),
    *("torch.utils.cpp_extension", "torch.utils.model_zoo", "torch.ops.load_library"),
    *("torch.classes.load_library", "torch.jit.load", "torch.from_file", "torch.serialization", "torch.os"),
    *("torch.sys", "numpy.load", "numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt"),
    *("numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap", "numpy.ctypeslib", "numpy.f2py"),
    *("numpy.lib.npyio", "numpy.lib.format", "numpy.testing", "typing.sys"),
)
REFLECTION = frozenset({"getattr", "setattr", "delattr", "hasattr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a space lets a candidate change.

    `seed` is the tree compared with; `editable` paths may differ from it (and may be new); `required` slots, as
    `FILE::NAME`, must still be there; a file may have at most `file_bytes` bytes.
    """

    seed: Tree
    editable: tuple[str, ...]
    required: tuple[str, ...]
    file_bytes: int = 64 << 10


def check(tree: Tree, rules: Rules) -> str | None:
    """The first reason to refuse the tree, or None. The reason names the file and, where there is one, the line."""
    return next(_reasons(tree, rules), None)


def _reasons(tree: Tree, rules: Rules) -> Iterator[str]:
    yield from _paths(tree, rules)
    own = frozenset(PurePosixPath(path).stem for path in tree)
    slots: set[str] = set()
    for path in sorted(tree):
        if len(tree[path].encode("utf-8", "surrogatepass")) > rules.file_bytes:
            yield f"{path} is larger than {rules.file_bytes} bytes"
        elif path.endswith(".py"):
            file = _read(tree[path], own)
            slots.update(f"{path}::{name}" for name in file.names)
            if file.fault and (path in rules.editable or not file.parses):
                yield f"{path}{file.fault}"
    for slot in rules.required:
        if slot not in slots:
            yield f"the space requires {slot}, which is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What the gate found in one text; `fault` begins with the line, where there is one."""

    parses: bool
    names: frozenset[str]
    fault: str


@lru_cache(maxsize=1024)
def _read(text: str, own: frozenset[str]) -> _File:
    """Most files of a candidate are its parent's: a text is read once."""
    try:
        module = parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        place = f":{line}" if line else ""
        return _File(parses=False, names=frozenset(), fault=f"{place} does not parse: {getattr(error, 'msg', error)}")
    return _File(parses=True, names=frozenset(_names(module)), fault=next(_forbidden(module, own), ""))


def python_fault(text: str, more: frozenset[str]) -> str:
    """What is wrong with a file that stands alone and may import `more` besides; empty where nothing is."""
    return _read(text, more).fault


def _paths(tree: Tree, rules: Rules) -> Iterator[str]:
    for path in sorted({*rules.seed, *tree}):
        if path not in tree:
            yield f"{path} is missing"
        elif path not in rules.seed and path not in rules.editable:
            yield f"{path} is new; only these files may be there: {', '.join(sorted({*rules.seed, *rules.editable}))}"
        elif path not in rules.editable and tree[path] != rules.seed[path]:
            yield f"{path} was changed; only these files may change: {', '.join(rules.editable)}"


def _names(module: ast.Module) -> Iterator[str]:
    """Top-level functions, classes, `Class.member` and constants."""
    for node in module.body:
        for name in _bound(node):
            yield name
            if isinstance(node, ast.ClassDef):
                yield from (f"{name}.{member}" for child in node.body for member in _bound(child))


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name))


def _forbidden(module: ast.Module, own: frozenset[str]) -> Iterator[str]:
    aliases = _aliases(module)
    for node in ast.walk(module):
        reason = None
        match node:
            case ast.Import() | ast.ImportFrom():
                reason = _import(node, own)
            case ast.Name(id=name) if name in FORBIDDEN_NAMES:
                reason = f"`{name}` may not be used"
            case ast.Attribute():
                reason = _attribute(node, aliases)
            case ast.Call(func=ast.Name(id=name), args=[_, key, *_]) if name in REFLECTION:
                reason = _reflection(name, key)
            case _:
                pass
        if reason is not None:
            yield f":{getattr(node, 'lineno', 0)}: {reason}"


def _aliases(module: ast.Module) -> dict[str, str]:
    """What imported names stand for: `np` -> `numpy`, `F` -> `torch.nn.functional`."""
    found: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found.update(
                {a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names}
            )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return found


def _import(node: ast.Import | ast.ImportFrom, own: frozenset[str]) -> str | None:
    if isinstance(node, ast.ImportFrom) and node.level:
        return "relative imports do not work here; the files lie in one flat folder"
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
        if name.endswith(".*"):
            return f"`{name}`: names are imported one by one"
        root = name.split(".")[0]
        if root not in ALLOWED_IMPORTS and root not in own:
            return f"`{root}` may not be imported; allowed: {', '.join(sorted(ALLOWED_IMPORTS | own))}"
        if _is_forbidden_path(name):
            return f"`{name}` may not be imported"
    return None


def _attribute(node: ast.Attribute, aliases: dict[str, str]) -> str | None:
    if node.attr.startswith("__") and node.attr not in ALLOWED_DUNDERS:
        return f"`.{node.attr}` may not be used"
    parts: list[str] = []
    walk: ast.expr = node
    while isinstance(walk, ast.Attribute):
        parts.append(walk.attr)
        walk = walk.value
    if not isinstance(walk, ast.Name):
        return None
    dotted = ".".join([aliases.get(walk.id, walk.id), *reversed(parts)])
    return f"`{dotted}` may not be used" if _is_forbidden_path(dotted) else None


def _reflection(name: str, key: ast.expr) -> str | None:
    if not isinstance(key, ast.Constant):
        return f"`{name}` may be used with a literal name only"
    if isinstance(key.value, str) and key.value.startswith("__") and key.value not in ALLOWED_DUNDERS:
        return f"`{name}` of `{key.value}` may not be used"
    return None


def _is_forbidden_path(dotted: str) -> bool:
    return any(dotted == path or dotted.startswith(path + ".") for path in FORBIDDEN_PATHS)
