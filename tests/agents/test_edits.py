"""Slots and edits: what a technique changes, and what it must leave as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_strategies import FORMS, NAMES, Slot, class_, constant, file_of, function, slot_lists
from toy_space import technique

from agents.edits import apply
from agents.slots import join, pieces, slots
from evolve.contracts import Edit, Technique

MODEL = '''"""A model."""

from __future__ import annotations

import torch

# how fast
RATE = 0.05  # tunable: 1e-4 .. 1.0 log
A, B = 1, 2


# the old words
def build(model):
    return model  # kept by nobody


class Model(torch.nn.Module):
    """Doc."""

    size = 3

    # what forward does
    def forward(self, x):
        return x
# the end
'''


def _technique(*changes: tuple[str, str, str], **more: object) -> Technique:
    edits = tuple(Edit(path="m.py", action=action, anchor=anchor, code=code) for action, anchor, code in changes)  # type: ignore[arg-type]
    return technique(0, edits=edits, **more)


def _applied(*changes: tuple[str, str, str], text: str = MODEL) -> str | None:
    tree = apply({"m.py": text, "other.py": "x = 1\n"}, _technique(*changes))
    return None if tree is None else tree["m.py"]


@given(slot_lists(), st.sampled_from(["", "# the end\n", "\n\n"]))
def test_pieces_joined_are_the_file(generated: list[Slot], tail: str) -> None:
    """Cutting a file into statements loses no byte."""
    text = file_of(generated, tail=tail)
    assert join(pieces(text)) == text


@pytest.mark.parametrize(
    "text", [MODEL, "", "\n\n", "# only\n", "x = 1", "a = 1; b = 2\n", 'x = """\n# no\n"""\r\ny = 2\r\n']
)
def test_pieces_joined_are_the_file_also_in_odd_cases(text: str) -> None:
    """Empty files, no last line end, two statements on a line, comments in texts, Windows line ends."""
    assert join(pieces(text)) == text


def test_slots_are_named_in_order() -> None:
    """Imports by their text, members by their class."""
    assert list(slots(MODEL)) == [
        "from __future__ import annotations",
        "import torch",
        *("RATE", "A", "B", "build", "Model", "Model.size", "Model.forward"),
    ]


@given(slot_lists(), st.data())
def test_a_replaced_slot_leaves_all_others_alone(generated: list[Slot], data: st.DataObject) -> None:
    """The new code stands in the old one's place, every other statement keeps its bytes and its order."""
    target = data.draw(st.sampled_from(generated))
    code = FORMS[data.draw(st.integers(0, 2))](target.name, 500)
    before = file_of(generated)
    after = _applied(("replace", target.name, code), text=before)
    assert after is not None
    own = {target.name, *(f"{target.name}.{member}" for member in ("size", "first", "second"))}
    assert {k: v for k, v in slots(after).items() if k not in own} == {
        k: v for k, v in slots(before).items() if k not in own
    }
    assert slots(after)[target.name] == code
    assert [p.key for p in pieces(after)] == [p.key for p in pieces(before)]


@given(slot_lists(), st.sampled_from(["before", "after", "replace"]), st.sampled_from(NAMES), st.data())
def test_applying_twice_is_applying_once(generated: list[Slot], action: str, name: str, data: st.DataObject) -> None:
    """A technique on its own result changes nothing: names that exist are replaced, imports are not repeated."""
    anchor = data.draw(st.sampled_from(generated)).name
    name = anchor if action == "replace" else name
    code = "import math\nimport torch\n\n# why\n" + FORMS[data.draw(st.integers(0, 2))](name, 7)
    edited = _technique((action, anchor, code))
    once = apply({"m.py": file_of(generated)}, edited)
    assert once is not None
    assert apply(once, edited) == once


@given(slot_lists(), st.sampled_from(["before", "after"]), st.data())
def test_a_new_statement_stands_beside_its_anchor(generated: list[Slot], action: str, data: st.DataObject) -> None:
    """Directly before or after, and everything else keeps its text."""
    anchor = data.draw(st.sampled_from(generated)).name
    after = _applied((action, anchor, constant("fresh", 1)), text=file_of(generated))
    assert after is not None
    keys = [piece.key for piece in pieces(after)]
    assert keys.index("fresh") - keys.index(anchor) == (1 if action == "after" else -1)
    assert {k: v for k, v in slots(after).items() if k != "fresh"} == slots(file_of(generated))


@given(slot_lists(smallest=2))
def test_techniques_on_different_slots_commute(generated: list[Slot]) -> None:
    """Two replacements of two slots give one result in either order."""
    one = _technique(("replace", generated[0].name, function(generated[0].name, 500)))
    two = _technique(("replace", generated[1].name, class_(generated[1].name, 600)))
    tree = {"m.py": file_of(generated)}
    assert apply(apply(tree, one) or {}, two) == apply(apply(tree, two) or {}, one)


def test_trailing_comments_and_leading_comments_survive() -> None:
    """A constant put after another touches neither's comment."""
    after = _applied(("after", "RATE", "DECAY = 0.9  # tunable: 0.0 .. 0.99\n"))
    assert after == MODEL.replace("1.0 log\n", "1.0 log\nDECAY = 0.9  # tunable: 0.0 .. 0.99\n")


def test_a_replaced_function_takes_its_comment_with_it() -> None:
    """A comment directly above described the old code; the card's own comment comes in its place."""
    after = _applied(("replace", "build", "# the new words\ndef build(model):\n    return None\n"))
    assert after is not None
    assert "old words" not in after
    assert "\n\n\n# the new words\ndef build(model):\n    return None\n\n\nclass Model" in after


def test_a_method_is_replaced_inside_its_class() -> None:
    """The code is indented, a text's inner lines are not, and imports go to the top of the file."""
    code = 'import math\ndef forward(self, x):\n    """Two\n    lines."""\n    y = """a\nb"""\n    return x\n'
    after = _applied(("replace", "Model.forward", code))
    assert after is not None
    assert '    def forward(self, x):\n        """Two\n        lines."""\n        y = """a\nb"""\n' in after
    assert "import torch\nimport math\n" in after
    assert after.endswith("        return x\n# the end\n")


def test_imports_go_below_the_docstring_and_future_imports() -> None:
    """Also in a file that has no other import."""
    text = '"""Doc."""\n\nfrom __future__ import annotations\n\nX = 1\n'
    after = _applied(("import", "", "import math\n"), text=text)
    assert after == '"""Doc."""\n\nfrom __future__ import annotations\nimport math\n\nX = 1\n'


def test_an_import_that_is_there_in_another_form_is_not_repeated() -> None:
    """`from a import b` is covered by `from a import b, c`."""
    text = "from torch import Tensor, nn\n"
    assert _applied(("import", "", "from torch import nn\n"), text=text) == text


@pytest.mark.parametrize(
    "change",
    [
        ("replace", "missing", "missing = 1\n"),
        ("after", "Model.missing", "x = 1\n"),
        ("replace", "RATE.x", "x = 1\n"),
        ("replace", "A", "A = 3\n"),
        ("after", "RATE", "B = 3\n"),
    ],
)
def test_an_anchor_that_does_not_stand_gives_no_tree(change: tuple[str, str, str]) -> None:
    """A missing name, or one that is bound together with a name the code does not give."""
    assert _applied(change) is None


@pytest.mark.parametrize(
    ("requires", "excludes", "fits"),
    [
        (("m.py::Model.forward",), (), True),
        (("m.py::Model.backward",), (), False),
        (("n.py::Model",), (), False),
        ((), ("m.py::RATE",), False),
        ((), ("m.py::SCHEDULE",), True),
    ],
)
def test_requires_and_excludes_decide(requires: tuple[str, ...], excludes: tuple[str, ...], fits: bool) -> None:
    """A required slot must be there and an excluded one must not."""
    made = _technique(("replace", "build", "def build():\n    pass\n"), requires=requires, excludes=excludes)
    assert (apply({"m.py": MODEL}, made) is not None) == fits


@pytest.mark.parametrize("text", ["def broken(:\n", "x = 1\n\0"])
def test_a_file_that_does_not_parse_gives_no_tree(text: str) -> None:
    """A candidate's broken file is no reason to raise."""
    assert _applied(("import", "", "import math\n"), text=text) is None
