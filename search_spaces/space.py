"""Loads a search space from its folder: what may change, from which seed, and what must still hold.

Knows files and their form. Does not know what the data are, how anything is measured, or how a technique is applied.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from evolve.contracts import Confirmation, Limits, Rung, Technique, Tree
from evolve.errors import UsageError
from search_spaces import kernel_space
from search_spaces.cards import load_cards
from search_spaces.gate import Rules, check

BUILT_IN = Path(__file__).parent
RUNG_NAMES = ("smoke", "short", "full", "replicated")
LEAST_MEMORY_BYTES = 512 << 20
"""A worker that has torch imported holds some 230 MiB before a candidate does anything."""


class SpaceFile(BaseModel):
    """The keys of `space.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """What people type after `--space`; the folder's name."""
    summary: str
    """One line for `evolve spaces`."""
    metric: str
    """The primary proxy metric; greater is better."""
    metrics: tuple[str, ...]
    """All proxy metrics, the primary one among them."""
    confirmation: Confirmation
    """How a gain is confirmed."""
    confirmation_seeds: int
    """Training seeds of a confirmation."""
    floor_seeds: int
    """Training seeds of the noise floor."""
    editable: tuple[str, ...]
    """Paths of the tree that a candidate may change."""
    required: tuple[str, ...] = ()
    """Slots, as FILE::NAME, that every candidate must keep."""
    rungs: tuple[Rung, ...]
    """In order: smoke, short, full, replicated."""
    final: Rung
    """The champion's one final fit."""
    limits: Limits = Limits()
    """Kill limits of a session."""

    @model_validator(mode="after")
    def _whole(self) -> SpaceFile:
        if self.metric not in self.metrics:
            raise ValueError(f"metric {self.metric!r} is not among metrics")
        if tuple(rung.name for rung in self.rungs) != RUNG_NAMES:
            raise ValueError(f"rungs are {', '.join(RUNG_NAMES)}, in this order")
        for rung in (*self.rungs, self.final):
            if rung.examples < 1 or rung.limit_s <= 0 or rung.seeds < 1:
                raise ValueError(f"rung {rung.name!r} needs examples, limit_s and seeds above zero")
        if self.confirmation_seeds < 1 or self.floor_seeds < 1:
            raise ValueError("confirmation_seeds and floor_seeds are at least 1")
        self._require_growing_profiles()
        return self

    def _require_growing_profiles(self) -> None:
        """One session goes up the rungs, so that a rung may have no less memory or time than the one before."""
        for rung in (*self.rungs, self.final):
            memory = rung.memory_bytes
            if memory is not None and not LEAST_MEMORY_BYTES <= memory <= self.limits.memory_bytes:
                most = self.limits.memory_bytes
                raise ValueError(f"rung {rung.name!r}: memory_bytes is {memory}, not in {LEAST_MEMORY_BYTES} to {most}")
        for lower, upper in itertools.pairwise(self.rungs[: RUNG_NAMES.index("full") + 1]):
            most = self.limits.memory_bytes
            if (lower.memory_bytes or most) > (upper.memory_bytes or most) or lower.limit_s > upper.limit_s:
                raise ValueError(f"rung {lower.name!r} has more memory_bytes or limit_s than {upper.name!r} after it")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSpace:
    """A search space in memory; implements `contracts.SearchSpace`."""

    name: str
    summary: str
    metric: str
    metrics: tuple[str, ...]
    seed: Tree
    editable: tuple[str, ...]
    required: tuple[str, ...]
    harness: Tree
    rungs: tuple[Rung, ...]
    final: Rung
    limits: Limits
    confirmation: Confirmation
    confirmation_seeds: int
    floor_seeds: int
    techniques: tuple[Technique, ...]
    digest: str
    """sha256 over everything above."""

    def check(self, tree: Tree) -> str | None:
        """Why the static gate refuses the tree, or None."""
        return check(tree, Rules(seed=self.seed, editable=self.editable, required=self.required))


Space = LoadedSpace | kernel_space.KernelSpace


def names() -> dict[str, str]:
    """The built-in spaces: name -> summary.

    Raises:
        UsageError: a `space.toml` is malformed.
    """
    folders = {path.parent.name: _space_file(path).summary for path in sorted(BUILT_IN.glob("*/space.toml"))}
    return folders | kernel_space.names()


def load(name_or_path: str | Path) -> Space:
    """A built-in space by name, `kernel:<op>` by its operator, or any by the path of its folder.

    Raises:
        UsageError: there is no such space, or a file of it is malformed.
    """
    if str(name_or_path).startswith(kernel_space.PREFIX):
        return kernel_space.load(str(name_or_path))
    return load_folder(name_or_path)


def load_folder(name_or_path: str | Path) -> LoadedSpace:
    """See `load`, for the spaces that are folders with a `space.toml`."""
    folder = _folder(name_or_path)
    keys = _space_file(folder / "space.toml")
    seed, harness = _read_tree(folder / "seed"), _read_tree(folder / "harness")
    techniques = load_cards(folder / "techniques")
    parts: dict[str, Any] = {name: getattr(keys, name) for name in SpaceFile.model_fields}
    parts |= {"seed": seed, "harness": harness, "techniques": techniques}
    space = LoadedSpace(**parts, digest=_digest(parts))
    _check_whole(space, folder)
    return space


def with_seed(space: Space, seed: Tree) -> Space:
    """The space with another seed: the user's own files in place of the built-in ones; the same seed, the same space.

    Raises:
        UsageError: the space's gate refuses the seed.
    """
    if seed == space.seed:
        return space
    digest = hashlib.sha256(json.dumps([space.digest, dict(seed)], sort_keys=True).encode()).hexdigest()
    found = replace(space, seed=seed, digest=digest)
    if reason := found.check(seed):
        raise UsageError(f"the files can't be the seed of `{space.name}`: {reason}", hint="Correct them, and commit.")
    return found


def _folder(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.startswith("."):
        if (Path(text) / "space.toml").is_file():
            return Path(text)
        raise UsageError(
            f"expected a search space's folder; found no space.toml in {text}",
            hint="Give the name of a built-in space (`evolve spaces` lists them) or a folder that holds space.toml.",
        )
    if text not in (choices := sorted(path.parent.name for path in BUILT_IN.glob("*/space.toml"))):
        known = ", ".join([*choices, *kernel_space.names()])
        raise UsageError(f"expected a search space's name; found {text!r}", hint=f"Choose one of: {known}.")
    return BUILT_IN / text


def _space_file(path: Path) -> SpaceFile:
    try:
        return SpaceFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected TOML; found: {error}", hint="Correct the file.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        found = f"{place}: {first['msg']}" if place else first["msg"]
        raise UsageError(f"{path}: {found}", hint=f"Known keys: {_known_keys(first['loc'])}.") from error


def _known_keys(place: tuple[int | str, ...]) -> str:
    part = {"limits": Limits, "rungs": Rung, "final": Rung}.get(str(place[0])) if len(place) > 1 else None
    return ", ".join(field.name for field in fields(part)) if part else ", ".join(SpaceFile.model_fields)


def _read_tree(folder: Path) -> Tree:
    """Every file below `folder`, hidden files and compiled leftovers apart."""
    if not folder.is_dir():
        raise UsageError(f"expected a folder {folder}; found none", hint="A space has seed/, harness/ and techniques/.")
    tree: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and path.suffix != ".pyc" and not any(part.startswith(".") for part in inside.parts):
            tree[inside.as_posix()] = path.read_text(encoding="utf-8")
    return tree


def _digest(parts: dict[str, Any]) -> str:
    plain = dict(parts, techniques=[asdict(technique) for technique in parts["techniques"]])
    plain |= {"rungs": [_said(rung) for rung in parts["rungs"]]}
    plain |= {"final": _said(parts["final"]), "limits": asdict(parts["limits"])}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _said(rung: Rung) -> dict[str, Any]:
    """A rung's keys without a limit of memory that it does not have, so that older spaces keep their digest."""
    return {key: value for key, value in asdict(rung).items() if value is not None}


def _check_whole(space: LoadedSpace, folder: Path) -> None:
    """Raises UsageError where the space's parts do not fit each other."""
    if "harness.py" not in space.harness:
        raise UsageError(f"{folder / 'harness'}: expected harness.py; found none", hint="Add the harness's entry.")
    if both := set(space.seed) & set(space.harness):
        raise UsageError(
            f"{folder}: seed and harness share the names {', '.join(sorted(both))}",
            hint="They are staged in one folder: rename one of them.",
        )
    if reason := space.check(space.seed):
        raise UsageError(f"{folder / 'seed'}: the seed fails its own gate: {reason}", hint="Correct the seed.")
    for technique in space.techniques:
        for edit in technique.edits:
            if edit.path not in space.editable:
                raise UsageError(
                    f"{folder / 'techniques' / technique.name}.md: {edit.path} is not editable",
                    hint=f"Edit one of: {', '.join(space.editable)}.",
                )
