"""Technique cards: what is read, and where an error is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.contracts import Edit, Observable, Persona
from evolve.errors import UsageError
from search_spaces.cards import load_cards, parse_card

CARD = """+++
name = "rmsprop"
title = "RMSprop in place of Adagrad"
persona = "optimizer"
paper = "Tieleman & Hinton 2012"
hypothesis = "Forgetting helps."
mechanism = "Old gradients fade."
observable = "late_update_norm"
direction = "up"
requires = ["optimizer.py::build_optimizer"]
excludes = []
+++
Prose. A heading of another level does no harm.

### When not
Never.

## replace optimizer.py::Model.step
```python
# ## not a heading
def build_optimizer(model):
    return 1
```
## after optimizer.py::LEARNING_RATE
```python
MOMENTUM = 0.9  # tunable: 0.0 .. 0.99
```
## import optimizer.py
```python
import math
```
"""


def test_a_card_becomes_a_technique() -> None:
    """Front matter and edits, in the order of the text."""
    card = parse_card(CARD, source="c.md")
    assert (card.name, card.persona, card.requires) == (
        "rmsprop",
        Persona.OPTIMIZER,
        ("optimizer.py::build_optimizer",),
    )
    assert card.observable == Observable(name="late_update_norm", direction="up")
    assert card.edits[0].code == "# ## not a heading\ndef build_optimizer(model):\n    return 1\n"
    assert [(e.action, e.path, e.anchor) for e in card.edits] == [
        ("replace", "optimizer.py", "Model.step"),
        ("after", "optimizer.py", "LEARNING_RATE"),
        ("import", "optimizer.py", ""),
    ]


def test_observable_requires_and_excludes_may_be_left_out() -> None:
    """The shortest card has its idea and one edit."""
    drop = ("observable", "direction", "requires", "excludes")
    card = parse_card("\n".join(line for line in CARD.split("\n") if not line.startswith(drop)), source="c.md")
    assert (card.observable, card.requires, card.excludes) == (None, (), ())
    assert card.edits[2] == Edit(path="optimizer.py", action="import", anchor="", code="import math\n")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("+++\nname", "name", 1, "two lines `+++`"),
        ('name = "rmsprop"', "name = rmsprop", 2, "expected TOML"),
        ('persona = "optimizer"', 'persona = "poet"', 1, "persona is one of optimizer"),
        ('paper = "Tieleman & Hinton 2012"', "paper = 3", 5, "paper"),
        ("excludes = []", "forbids = []", 11, "expected keys name"),
        ('direction = "up"\n', "", 1, "come together"),
        ('["optimizer.py::build_optimizer"]', '["build_optimizer"]', 1, "FILE::NAME"),
        ("## replace optimizer.py::Model.step", "## swap optimizer.py::Model.step", 18, "expected `## replace"),
        ("## replace optimizer.py::Model.step", "## replace optimizer.py", 18, "expected `## replace"),
        ("## import optimizer.py", "## import optimizer.py::X", 28, "import statements alone"),
        ("import math", "x = 1", 28, "import statements alone"),
        ("    return 1", "    return return", 22, "expected Python code"),
        ("import math\n```\n", "import math\n", 29, "closing ```"),
        ("import math\n", "# nothing\n", 30, "at least one statement"),
        ("```python\nimport math\n```\n", "", 28, "the end of the card"),
        ("## after optimizer.py::LEARNING_RATE\n", "", 24, "a heading before the code"),
        ("```python\nimport math\n```\n", "## import model.py\n", 28, "the next heading"),
    ],
)
def test_an_error_names_the_line_and_what_was_expected(old: str, new: str, line: int, words: str) -> None:
    """Each mistake of an author has one clear message with a place."""
    assert old in CARD
    with pytest.raises(UsageError) as caught:
        parse_card(CARD.replace(old, new, 1), source="c.md")
    assert caught.value.message.startswith(f"c.md:{line}: ")
    assert words in caught.value.message


def test_a_card_without_edits_is_an_error() -> None:
    """An idea without code can't be tried."""
    with pytest.raises(UsageError, match="at least one edit"):
        parse_card(CARD.split("## replace", maxsplit=1)[0], source="c.md")


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Other files are left alone, and a missing folder holds no cards."""
    for name in ("b", "a"):
        (tmp_path / f"{name}.md").write_text(CARD.replace('"rmsprop"', f'"{name}"'))
    (tmp_path / "notes.txt").write_text("x")
    assert [card.name for card in load_cards(tmp_path)] == ["a", "b"]
    assert load_cards(tmp_path / "none") == ()


def test_a_card_is_called_as_its_file(tmp_path: Path) -> None:
    """So that two cards can't share a name."""
    (tmp_path / "other.md").write_text(CARD)
    with pytest.raises(UsageError, match="expected name = 'other'"):
        load_cards(tmp_path)
