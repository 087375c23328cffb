"""The three-way merge of two candidates."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st
from source_strategies import Slot, changed, file_of, slot_lists

from agents.combine import combine
from agents.slots import slots


@given(slot_lists().flatmap(lambda base: st.tuples(st.just(base), changed(base))))
def test_a_side_that_did_not_change_gives_the_other_side(pair: tuple[list[Slot], list[Slot]]) -> None:
    """Merging with the base itself is the other tree, byte for byte, whichever side it stands on."""
    base, one = ({"m.py": file_of(slots_)} for slots_ in pair)
    assert combine(base, one, base) == one
    assert combine(base, base, one) == one


@given(slot_lists().flatmap(lambda base: st.tuples(st.just(base), changed(base), changed(base))))
def test_every_slot_comes_from_the_side_that_changed_it(sides: tuple[list[Slot], list[Slot], list[Slot]]) -> None:
    """Changed on one side: that side's. Changed on both: the better side's. The result parses."""
    base, better, other = sides
    merged = combine({"m.py": file_of(base)}, {"m.py": file_of(better)}, {"m.py": file_of(other)})
    assert merged is not None
    ast.parse(merged["m.py"])
    old, mine, theirs = ({s.name: s.body for s in side} for side in sides)
    found = slots(merged["m.py"])
    for name in {*old, *mine, *theirs}:
        expected = theirs.get(name) if mine.get(name) == old.get(name) else mine.get(name)
        if expected is None:
            assert name not in found
        elif not (expected.startswith("class") and mine.get(name) != theirs.get(name) != old.get(name)):
            assert found[name] == expected


def test_two_methods_of_one_class_are_both_taken() -> None:
    """The merge goes into classes."""
    text = "class A:\n    def f(self):\n        return 0\n\n    def g(self):\n        return 0\n"
    one = text.replace("f(self):\n        return 0", "f(self):\n        return 1")
    two = (
        text.replace("g(self):\n        return 0", "g(self):\n        return 2")
        + "\n    def h(self):\n        return 3\n"
    )
    merged = combine({"m.py": text}, {"m.py": one}, {"m.py": two})
    assert merged == {"m.py": two.replace("f(self):\n        return 0", "f(self):\n        return 1")}


def test_an_import_added_by_both_sides_stands_once() -> None:
    """Equal statements are one statement."""
    base = "import math\n\nX = 1\nY = 1\n"
    one = "import math\nimport torch\n\nX = 2\nY = 1\n"
    two = "import math\nimport torch\n\nX = 1\nY = 2\n"
    assert combine({"m.py": base}, {"m.py": one}, {"m.py": two}) == {
        "m.py": "import math\nimport torch\n\nX = 2\nY = 2\n"
    }


def test_files_are_merged_one_by_one() -> None:
    """A new file of either side comes along; a file that only one side changed is that side's."""
    base = {"a.py": "x = 1\n", "b.py": "y = 1\n"}
    assert combine(base, {**base, "a.py": "x = 2\n"}, {**base, "b.py": "y = 2\n", "c.py": "z = 1\n"}) == {
        "a.py": "x = 2\n",
        "b.py": "y = 2\n",
        "c.py": "z = 1\n",
    }


def test_a_result_that_does_not_parse_is_none() -> None:
    """A side that is broken can't be combined."""
    assert combine({"a.py": "x = 1\n"}, {"a.py": "x = 1\n"}, {"a.py": "x = (\n"}) is None
