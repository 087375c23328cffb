"""Hypothesis strategies for Python files as a seed might hold them, and for changes of single slots."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

NAMES = [f"name_{letter}" for letter in "abcdefgh"]
LEADS = ["", "\n", "\n\n", "# a comment\n", "\n# a section\n\n", "\n\n# what it does\n"]


def constant(name: str, value: int) -> str:
    """A constant with a trailing comment that must survive."""
    return f"{name} = {value}  # tunable: 0 .. 1000 int\n"


def function(name: str, value: int) -> str:
    """A function with a docstring, a comment and a decorator now and then."""
    decorator = "@decorated\n" if value % 3 == 0 else ""
    return f'{decorator}def {name}(x):\n    """Does {value}."""\n    # why\n    return x + {value}\n'


def class_(name: str, value: int) -> str:
    """A class of two methods and an attribute."""
    return (
        f'class {name}:\n    """Holds {value}."""\n\n    size = {value}\n\n    def first(self):\n'
        f"        return {value}\n\n    # the second\n    def second(self):\n        return {value + 1}\n"
    )


FORMS = (constant, function, class_)


@dataclass(frozen=True)
class Slot:
    """A named statement of a generated file."""

    name: str
    form: int
    value: int
    lead: str

    @property
    def body(self) -> str:
        return FORMS[self.form](self.name, self.value)


@st.composite
def slot_lists(draw: st.DrawFn, *, smallest: int = 1) -> list[Slot]:
    """Distinct names in any order."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=smallest, max_size=6, unique=True))
    return [
        Slot(name, draw(st.integers(0, 2)), draw(st.integers(0, 99)), draw(st.sampled_from(LEADS))) for name in names
    ]


def file_of(slots: list[Slot], *, head: str = '"""A file."""\n\nimport math\n', tail: str = "# the end\n") -> str:
    """The slots as one file."""
    return head + "".join(slot.lead + slot.body for slot in slots) + tail


@st.composite
def changed(draw: st.DrawFn, slots: list[Slot]) -> list[Slot]:
    """Some slots get another value, some go, one may be new."""
    kept = [slot for slot in slots if draw(st.integers(0, 5))]
    moved = [Slot(s.name, s.form, s.value + 100 * draw(st.integers(0, 3)), s.lead) for s in kept]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(moved)))
        moved.insert(at, Slot(f"new_{draw(st.sampled_from('xy'))}", draw(st.integers(0, 2)), 7, "\n\n"))
    return moved
