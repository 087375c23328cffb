"""Diffs in answers: whatever a model writes around and into them, the meant change is made, or a clear refusal."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.diffs.answer import ANSWER_BYTES, apply_answer
from agents.diffs.change import Applied, DiffFault, Refused

MODEL = """import torch

WIDTH = 64


class Net:
    size = 3

    def forward(self, x):
        y = x + 1
        return y

    def loss(self, x):
        y = x + 1
        return y * 2


def build():
    return Net()
"""
TREE = {"model.py": MODEL, "loss.py": "def loss(a, b):\n    return a - b\n", "harness.py": "SECRET = 1\n"}
EDITABLE = ("model.py", "loss.py", "new.py")


def block(search: str, replace: str, path: str = "model.py") -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


def applied(text: str, tree=TREE) -> dict[str, str]:
    result = apply_answer(text, tree, EDITABLE)
    assert isinstance(result, Applied), result
    return dict(result.files)


def refused(text: str, tree=TREE) -> Refused:
    result = apply_answer(text, tree, EDITABLE)
    assert isinstance(result, Refused), result
    return result


WIDER = {"model.py": MODEL.replace("WIDTH = 64", "WIDTH = 128")}


@pytest.mark.parametrize(
    "text",
    [
        block("WIDTH = 64", "WIDTH = 128"),
        block("WIDTH = 64   ", "WIDTH = 128"),
        block("    WIDTH = 64", "    WIDTH = 128"),
        block("WIDTH = 64", "WIDTH = 128").replace("\n", "\r\n"),
        "Sure! I widen it.\n\n" + block("WIDTH = 64", "WIDTH = 128") + "\nHope it helps.",
        "```python\n" + block("WIDTH = 64", "WIDTH = 128") + "```",
        "**model.py**\n```\n" + block("WIDTH = 64", "WIDTH = 128", "").lstrip("\n") + "```",
        block("```python\nWIDTH = 64\n```", "```python\nWIDTH = 128\n```"),
        block("WIDTH = 64", "WIDTH = 128", "a/model.py"),
        block("WIDTH = 64", "WIDTH = 128", "### File: `./model.py`:"),
        "<<<<<<< SEARCH model.py  \nWIDTH = 64\n=======  \nWIDTH = 128\n>>>>>>> REPLACE  ",
        block("WIDTH = 64", "WIDTH = 128", "In `model.py` the width doubles:"),
        block("WIDTH = 64", "WIDTH = 128", "no file is named here"),
        "--- a/model.py\n+++ b/model.py\n@@ -3,1 +3,1 @@\n-WIDTH = 64\n+WIDTH = 128\n",
        "```diff\n--- model.py\n+++ model.py\n@@ -99,7 +1 @@ nonsense\n \n-WIDTH = 64\n+WIDTH = 128\n```",
        "```diff\n@@\n-WIDTH = 64\n+WIDTH = 128\n```",
    ],
)
def test_one_change_in_many_hands(text):
    assert applied(text) == WIDER


def test_several_blocks_build_on_each_other():
    text = block("WIDTH = 64", "WIDTH = 96") + block("WIDTH = 96", "WIDTH = 128") + block("a - b", "a * b", "loss.py")
    text = text.replace("\na - b\n", "\n    return a - b\n").replace("\na * b\n", "\n    return a * b\n")
    assert applied(text) == {**WIDER, "loss.py": "def loss(a, b):\n    return a * b\n"}


def test_a_shifted_block_takes_the_files_indentation():
    text = block("def forward(self, x):\n    y = x + 1", "def forward(self, x):\n    if x:\n        y = x + 2")
    assert "    def forward(self, x):\n        if x:\n            y = x + 2\n" in applied(text)["model.py"]


def test_a_block_of_two_spaces_takes_four():
    text = block("def forward(self, x):\n  y = x + 1", "def forward(self, x):\n  y = x + 7")
    assert "    def forward(self, x):\n        y = x + 7\n" in applied(text)["model.py"]


def test_depths_that_fall_together_are_refused():
    assert refused(block("y = x + 1\n    return y\n\n", "y = 2\n    return y")).fault is DiffFault.NOT_FOUND
    assert refused(block("def forward(self, x):\n    y = x + 1\n  return y", "z")).fault is DiffFault.INDENTATION


def test_a_file_with_returns_keeps_them():
    tree = {"model.py": MODEL.replace("\n", "\r\n")}
    assert applied(block("WIDTH = 64", "WIDTH = 128"), tree) == {"model.py": WIDER["model.py"].replace("\n", "\r\n")}


def test_a_new_editable_file_may_be_made():
    assert applied(block("", "X = 1", "new.py")) == {"new.py": "X = 1\n"}


@pytest.mark.parametrize(
    ("text", "fault", "word"),
    [
        ("I would widen it.", DiffFault.NO_DIFF, "SEARCH/REPLACE"),
        (block("        y = x + 1", "        y = 3"), DiffFault.AMBIGUOUS, "lines 10, 14"),
        (block("HEIGHT = 64", "HEIGHT = 1"), DiffFault.NOT_FOUND, "HEIGHT = 64"),
        (block("WIDTH = 64\nimport torch", "x"), DiffFault.NOT_FOUND, "one after the other"),
        (block("WIDTH = 64", "WIDTH = 64"), DiffFault.NO_OP, "changes nothing"),
        (block("SECRET = 1", "SECRET = 2", "harness.py"), DiffFault.NOT_EDITABLE, "model.py"),
        (block("SECRET = 1", "SECRET = 2", "nothing is named"), DiffFault.NOT_FOUND, "no editable file"),
        (block("X", "Y", "/etc/passwd.txt"), DiffFault.UNKNOWN_PATH, "/etc/passwd.txt"),
        (block("X", "Y", "../model.py"), DiffFault.UNKNOWN_PATH, "../model.py"),
        (block("", "X = 1"), DiffFault.MALFORMED, "not empty"),
        ("model.py\n<<<<<<< SEARCH\nWIDTH = 64\n=======\nWIDTH = 1", DiffFault.MALFORMED, ">>>>>>> REPLACE"),
        ("model.py\n<<<<<<< SEARCH\nWIDTH = 64\n>>>>>>> REPLACE", DiffFault.MALFORMED, "======="),
        (block("WIDTH = 64\n=======\nx", "WIDTH = 1"), DiffFault.MALFORMED, "more than one"),
        ("--- model.py\n+++ model.py\n@@ -3,2 +3,2 @@\n-WIDTH = 64\n", DiffFault.MALFORMED, "cut off"),
        ("--- model.py\n+++ /dev/null\n@@ -1 +0 @@\n-WIDTH = 64\n", DiffFault.MALFORMED, "deletes"),
        ("@@ -1 +1 @@\nWIDTH = 64\n", DiffFault.MALFORMED, "none of space"),
        ("@@ -0,0 +1 @@\n+x = 1\n", DiffFault.NOT_FOUND, "names no file"),
        (block("WIDTH = 64", "WIDTH = 1") + "@@ -1 +1 @@\n-a\n+b\n", DiffFault.MALFORMED, "both"),
        ("x" * (ANSWER_BYTES + 1), DiffFault.TOO_LARGE, "small"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_advice(text, fault, word):
    found = refused(text)
    assert found.fault is fault and word in found.message


def test_nothing_is_applied_where_one_block_fails():
    assert refused(block("WIDTH = 64", "WIDTH = 1") + block("gone", "x")).message.startswith("block 2")


def test_a_whole_function_takes_its_namesakes_place():
    text = "Here:\n```python\n# loss.py\ndef loss(a, b):\n    return a * b\n```\n"
    assert applied(text) == {"loss.py": "def loss(a, b):\n    return a * b\n"}


def test_a_helper_comes_along_with_the_function_that_uses_it():
    text = "```python\nimport math\n\ndef half(x):\n    return x / 2\n\n\ndef loss(a, b):\n    return half(a)\n```"
    assert "import math" in applied(text)["loss.py"] and "def half(x)" in applied(text)["loss.py"]


@pytest.mark.parametrize(
    "code",
    [
        "class Net:\n    def forward(self, x):\n        return x\n",
        "def unknown():\n    pass\n",
        "def loss(:\n",
        "print(1)\n",
    ],
)
def test_whole_statements_that_would_lose_or_guess_something_are_refused(code):
    assert refused(f"```python\n{code}```").message.startswith("no diff was applied")


LINES = st.lists(
    st.sampled_from(["a = 1", "b = 2", "    c = 3", "", "def f():", "        d", "-- x", "++ y"]), max_size=14
)


@given(LINES, LINES)
def test_a_correct_unified_diff_gives_the_new_text_or_is_refused(old, new):
    before, after = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    diff = "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "model.py", "model.py"))
    result = apply_answer(diff, {"model.py": before}, ("model.py",))
    if isinstance(result, Applied):
        assert result.files == {"model.py": after}


@given(LINES, st.data())
def test_a_block_gives_the_new_text_or_is_refused(old, data):
    before = "".join(f"{line}\n" for line in old)
    start = data.draw(st.integers(0, len(old)))
    end = data.draw(st.integers(start, len(old)))
    new = data.draw(LINES)
    result = apply_answer(block("\n".join(old[start:end]), "\n".join(new)), {"model.py": before}, ("model.py",))
    if isinstance(result, Applied) and any(line.strip() for line in old[start:end]):
        expected = [*old[:start], *(new or [""]), *old[end:]]
        assert result.files["model.py"] == "".join(f"{line}\n" for line in expected)


@given(st.text(alphabet="<>=@+- `\nabc.py\r\t", max_size=300))
def test_no_text_makes_the_reader_fail(text):
    result = apply_answer(text, TREE, EDITABLE)
    assert isinstance(result, Applied | Refused)
    if isinstance(result, Applied):
        assert set(result.files) <= set(EDITABLE)
