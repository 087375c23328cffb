"""Finds and sets a candidate's declared tunables: module-level constants with a trailing `# tunable:` comment.

    LEARNING_RATE = 0.05  # tunable: 1e-4 .. 1.0 log
    WIDTH = 64  # tunable: 16 .. 256 log int
    ACTIVATION = "relu"  # tunable: relu | gelu | silu

Only the literal is ever edited. A bad declaration is a reason, not an exception: it may come from a candidate. Does
not know which values are good.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

from agents.slots import LINE
from evolve.contracts import Tree, TunableValue
from evolve.syntax import parsed

DECLARATION = re.compile(r"\s*#\s*tunable:(.*)")
NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"\s*({NUMBER})\s*\.\.\s*({NUMBER})((?:\s+(?:log|int))*)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both included; `is_log` where ratios matter rather than differences."""

    low: float
    high: float
    is_log: bool
    is_int: bool

    def admits(self, value: TunableValue) -> bool:
        """Whether the value is of the right kind and within the bounds."""
        kinds = (int,) if self.is_int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few values, none better ordered than another."""

    options: tuple[TunableValue, ...]

    def admits(self, value: TunableValue) -> bool:
        """Whether the value is among the options, and of the same type."""
        return any(option == value and type(option) is type(value) for option in self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunable:
    """A declared tunable; `key` is `FILE::NAME`, `value` what stands there now."""

    key: str
    value: TunableValue
    domain: Range | Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The tunables of a tree in the order of its text, and why other declarations can't be used."""

    tunables: tuple[Tunable, ...]
    faults: tuple[str, ...]

    @property
    def values(self) -> dict[str, TunableValue]:
        """Key -> value."""
        return {tunable.key: tunable.value for tunable in self.tunables}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """Where a literal stands: character offsets into the text."""

    name: str
    start: int
    end: int
    value: TunableValue
    domain: Range | Choice


def find(tree: Tree) -> Declared:
    """All tunables that the tree declares. A file that does not parse declares none."""
    tunables: list[Tunable] = []
    faults: list[str] = []
    for path in sorted(tree):
        sites, wrong = _sites(tree[path])
        tunables += [Tunable(key=f"{path}::{s.name}", value=s.value, domain=s.domain) for s in sites]
        faults += [f"{path}:{fault}" for fault in wrong]
    return Declared(tunables=tuple(tunables), faults=tuple(faults))


def live(tree: Tree) -> Declared:
    """The tunables that some code of the tree names: a constant left behind by a replaced slot is not worth a trial."""
    declared = find(tree)
    used: set[str] = set()
    for text in tree.values():
        used |= _uses(text)
    alive = tuple(tunable for tunable in declared.tunables if tunable.key.partition("::")[2] in used)
    return replace(declared, tunables=alive)


def with_values(tree: Tree, values: Mapping[str, TunableValue]) -> Tree:
    """The tree with each literal in `values` (by `FILE::NAME`) replaced; keys that the tree does not declare and
    values that a declaration does not admit are left out."""
    return {path: _with_values(path, text, values) for path, text in tree.items()}


def structure(tree: Tree) -> str:
    """A digest that is equal for trees that differ in their tunables' values alone."""
    return "\n".join(f"{path} {_skeleton(tree[path])}" for path in sorted(tree))


def _with_values(path: str, text: str, values: Mapping[str, TunableValue]) -> str:
    for site in reversed(_sites(text)[0]):
        key = f"{path}::{site.name}"
        if key in values and site.domain.admits(values[key]) and values[key] != site.value:
            text = text[: site.start] + _literal_of(values[key]) + text[site.end :]
    return text


def _literal_of(value: TunableValue) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


@lru_cache(maxsize=4096)
def _skeleton(text: str) -> str:
    """A digest of the text with each tunable's literal left out."""
    for site in reversed(_sites(text)[0]):
        text = text[: site.start] + "?" + text[site.end :]
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=4096)
def _uses(text: str) -> frozenset[str]:
    """Names that the code reads, also as an attribute (`config.WIDTH`)."""
    try:
        module = parsed(text)
    except (SyntaxError, ValueError):
        return frozenset()
    names = {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return frozenset(names | {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)})


@lru_cache(maxsize=4096)
def _sites(text: str) -> tuple[tuple[_Site, ...], tuple[str, ...]]:
    """Usable declarations in order, and `LINE: reason` for the others. The last binding of a name counts."""
    if "tunable:" not in text:
        return (), ()
    try:
        module = parsed(text)
    except (SyntaxError, ValueError):
        return (), ()
    lines = LINE.findall(text)
    starts = [0, *accumulate(len(line) for line in lines)]
    sites: dict[str, _Site] = {}
    faults: list[str] = []
    for name, value, line, column in _constants(module):
        sites.pop(name, None)
        comment = DECLARATION.fullmatch(_after(lines, line, column))
        if comment is None:
            continue
        read = _declaration(value, comment[1])
        if isinstance(read, str):
            faults.append(f"{line}: {name}: {read}")
            continue
        end_line = value.end_lineno or value.lineno
        start = starts[value.lineno - 1] + _characters(lines[value.lineno - 1], value.col_offset)
        end = starts[end_line - 1] + _characters(lines[end_line - 1], value.end_col_offset or 0)
        sites[name] = _Site(name=name, start=start, end=end, value=read[0], domain=read[1])
    return tuple(sites.values()), tuple(faults)


def _constants(module: ast.Module) -> Iterator[tuple[str, ast.expr, int, int]]:
    """Module-level `NAME = value`: the name, the value, and the line and byte where the statement ends."""
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value, node.end_lineno or 0, node.end_col_offset or 0
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value, node.end_lineno or 0, node.end_col_offset or 0
            case _:
                pass


def _after(lines: Sequence[str], line: int, column: int) -> str:
    """What follows byte `column` on a line, without the line's end."""
    return lines[line - 1].encode()[column:].decode().rstrip("\r\n")


def _characters(line: str, byte_count: int) -> int:
    return len(line.encode()[:byte_count].decode())


def _declaration(value: ast.expr, words: str) -> tuple[TunableValue, Range | Choice] | str:
    """The literal and its domain, or what is wrong with the declaration."""
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError):
        return "expected a literal number or text before `# tunable:`"
    if not isinstance(literal, int | float | str):
        return "expected a literal number or text before `# tunable:`"
    domain = _range(words, literal) if ".." in words else _choice(words, literal)
    if isinstance(domain, str):
        return domain
    if not domain.admits(literal):
        return f"the value {literal!r} lies outside its own range `{words.strip()}`"
    return literal, domain


def _range(words: str, literal: TunableValue) -> Range | str:
    found = RANGE.fullmatch(words)
    if found is None:
        return f"expected `LOW .. HIGH [log] [int]`, found `{words.strip()}`"
    low, high, flags = float(found[1]), float(found[2]), found[3].split()
    if not low < high or not math.isfinite(high - low):
        return f"expected LOW below HIGH, found `{words.strip()}`"
    if "log" in flags and low <= 0:
        return f"a log range begins above zero, found `{words.strip()}`"
    if "int" in flags and not (low.is_integer() and high.is_integer() and isinstance(literal, int)):
        return f"an int range has whole bounds and a whole value, found {literal!r} in `{words.strip()}`"
    return Range(low=low, high=high, is_log="log" in flags, is_int="int" in flags)


def _choice(words: str, literal: TunableValue) -> Choice | str:
    """Options are written bare; they are read as the literal's own type."""
    options: list[TunableValue] = []
    for word in (part.strip() for part in words.split("|")):
        option = word.strip("\"'") if isinstance(literal, str) else _literal(word)
        if option is None or type(option) is not type(literal) or option in options or option == "":
            return f"expected options of the value's type, each once, as `A | B`, found `{words.strip()}`"
        options.append(option)
    if len(options) < 2:
        return f"expected `LOW .. HIGH` or at least two options `A | B`, found `{words.strip()}`"
    return Choice(options=tuple(options))


def _literal(word: str) -> TunableValue | None:
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, int | float | str) else None
