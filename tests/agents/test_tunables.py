"""Declared tunables: the grammar, what is edited, and what is said of a bad declaration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tunables import Choice, Range, find, live, structure, with_values
from evolve.contracts import TunableValue

TEXT = '''"""Numbers."""
RATE = 0.05  # tunable: 1e-4 .. 1.0 log
WIDTH: int = 64  # tunable: 16 .. 256 log int
SHIFT = -1.5  # tunable: -2 .. 2
WÖRTER = "é"; # not one
KIND = "relu"  # tunable: relu | gelu | silu
SIZE = 32  # tunable: 16 | 32 | 64
USED = RATE, WIDTH  # plain comment


def local():
    inner = 1  # tunable: 0 .. 2 int
    return inner, KIND
'''
TREE = {"a.py": TEXT, "b.py": "x = 1\n"}


def test_each_form_of_the_grammar_is_read() -> None:
    """Ranges with and without log and int, and choices of texts or numbers; inside functions there are none."""
    declared = find(TREE)
    assert declared.faults == ()
    assert {t.key: t.domain for t in declared.tunables} == {
        "a.py::RATE": Range(low=1e-4, high=1.0, is_log=True, is_int=False),
        "a.py::WIDTH": Range(low=16, high=256, is_log=True, is_int=True),
        "a.py::SHIFT": Range(low=-2, high=2, is_log=False, is_int=False),
        "a.py::KIND": Choice(options=("relu", "gelu", "silu")),
        "a.py::SIZE": Choice(options=(16, 32, 64)),
    }
    assert declared.values == {
        **{"a.py::RATE": 0.05, "a.py::WIDTH": 64, "a.py::SHIFT": -1.5},
        **{"a.py::KIND": "relu", "a.py::SIZE": 32},
    }


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "a.py::RATE": st.floats(1e-4, 1.0),
        "a.py::WIDTH": st.integers(16, 256),
        "a.py::SHIFT": st.floats(-2, 2),
        "a.py::KIND": st.sampled_from(["relu", "gelu", "silu"]),
        "a.py::SIZE": st.sampled_from([16, 32, 64]),
    },
)


@given(VALUES)
def test_values_are_read_back_as_they_were_set(values: dict[str, TunableValue]) -> None:
    """Setting is exact, touches nothing else, and setting the old values gives the old text."""
    changed = with_values(TREE, values)
    assert find(changed).values == {**find(TREE).values, **values}
    assert structure(changed) == structure(TREE)
    assert with_values(changed, find(TREE).values) == TREE


def test_only_the_literal_is_edited() -> None:
    """The comment, the annotation and the alignment stay."""
    assert with_values(TREE, {"a.py::WIDTH": 128})["a.py"] == TEXT.replace("= 64 ", "= 128 ")


@pytest.mark.parametrize("value", [2.0, float("nan"), "fast", True])
def test_a_value_outside_the_declaration_is_not_set(value: TunableValue) -> None:
    """Out of range, of another kind, or not a number."""
    assert with_values(TREE, {"a.py::RATE": value, "a.py::MISSING": 1}) == TREE


def test_another_structure_has_another_digest() -> None:
    """A change of anything but a tunable's literal counts."""
    assert structure(TREE) != structure({**TREE, "b.py": "x = 2\n"})
    assert structure(TREE) != structure({"a.py": TEXT.replace("1.0 log", "2.0 log"), "b.py": "x = 1\n"})


def test_a_constant_that_nobody_reads_is_not_worth_a_trial() -> None:
    """What a replaced slot left behind is declared but not live."""
    assert [t.key for t in live(TREE).tunables] == ["a.py::RATE", "a.py::WIDTH", "a.py::KIND"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("X = 1  # tunable: 5 .. 2", "LOW below HIGH"),
        ("X = 1.0  # tunable: 0.0 .. 2.0 log", "above zero"),
        ("X = 1.5  # tunable: 1 .. 2 int", "whole"),
        ("X = 9  # tunable: 1 .. 2", "outside"),
        ("X = compute()  # tunable: 1 .. 2", "literal"),
        ("X = [1]  # tunable: 1 .. 2", "literal"),
        ("X = 1  # tunable: small .. large", "LOW .. HIGH"),
        ('X = "a"  # tunable: b | c', "outside"),
        ('X = "a"  # tunable: a', "two options"),
        ('X = "a"  # tunable: a | a', "each once"),
        ("X = 1  # tunable: 1 | two", "value's type"),
        ("X = {[]: 1}  # tunable: 1 | 2", "literal"),
    ],
)
def test_a_bad_declaration_is_a_reason(line: str, words: str) -> None:
    """It names the file, the line and the constant; the other declarations stand."""
    declared = find({"c.py": f"Y = 1  # tunable: 0 .. 2\n{line}\n"})
    assert [t.key for t in declared.tunables] == ["c.py::Y"]
    assert declared.faults[0].startswith("c.py:2: X: ")
    assert words in declared.faults[0]


def test_a_file_that_does_not_parse_declares_nothing() -> None:
    """A candidate's broken file is no exception of ours."""
    assert find({"a.py": "X = (  # tunable: 1 .. 2\n"}).tunables == ()


def test_the_last_binding_of_a_name_counts() -> None:
    """A tunable that is bound again below has no effect where it stands."""
    assert find({"a.py": "X = 1  # tunable: 0 .. 2\nX = 3\n"}).tunables == ()
