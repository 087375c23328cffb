"""Personas as people can edit them: one Markdown file each, with the files that it may touch on its first line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evolve.contracts import Persona
from evolve.errors import UsageError

BUILT_IN = Path(__file__).parent / "personas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A persona's text, and the files that it may touch where a space has them."""

    persona: Persona
    files: tuple[str, ...]
    text: str

    def editable(self, editable: Sequence[str]) -> tuple[str, ...]:
        """What it may touch of the editable files of a space."""
        return tuple(path for path in editable if path in self.files)


def read_roles(folder: Path = BUILT_IN) -> dict[Persona, Role]:
    """The roles of a folder: PERSONA.md for each that there is.

    Raises:
        UsageError: the folder has none, or a file does not begin with `files: A, B` and a line of dashes.
    """
    roles: dict[Persona, Role] = {}
    for persona in Persona:
        path = folder / f"{persona.value}.md"
        if path.is_file():
            roles[persona] = _role(persona, path)
    if not roles:
        names = ", ".join(f"{persona.value}.md" for persona in Persona)
        raise UsageError(f"expected personas in {folder}; found none", hint=f"Write at least one of {names}.")
    return roles


def _role(persona: Persona, path: Path) -> Role:
    head, dashes, text = path.read_text(encoding="utf-8").partition("\n---\n")
    if not dashes or not head.startswith("files:"):
        raise UsageError(f"{path}: expected `files: A, B` and a line `---` at its top", hint="See agents/personas/.")
    files = tuple(name.strip() for name in head.removeprefix("files:").split(",") if name.strip())
    return Role(persona=persona, files=files, text=text.strip())
