"""Loading a search space from its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.contracts import Limits, SearchSpace
from evolve.errors import UsageError
from search_spaces.space import BUILT_IN, _said, load, names

TOML = """
name = "mine"
summary = "A space for tests."
metric = "auc"
metrics = ["auc", "ndcg"]
confirmation = "held_out_split"
confirmation_seeds = 3
floor_seeds = 4
editable = ["model.py"]
required = ["model.py::build"]

[limits]
cpu_s = 30

[[rungs]]
name = "smoke"
examples = 10
limit_s = 5
[[rungs]]
name = "short"
examples = 100
limit_s = 5
[[rungs]]
name = "full"
examples = 1000
limit_s = 5.5
[[rungs]]
name = "replicated"
examples = 1000
limit_s = 5
seeds = 3

[final]
name = "final"
examples = 2000
limit_s = 60
"""
CARD = """+++
name = "wide"
title = "Wider"
persona = "architecture"
paper = "none"
hypothesis = "h"
mechanism = "m"
+++
## replace model.py::build
```python
def build():
    return 2
```
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole space on disk."""
    for name, text in {
        "space.toml": TOML,
        "seed/model.py": "def build():\n    return 1\n",
        "seed/.hidden": "x",
        "seed/__pycache__/model.pyc": "x",
        "harness/harness.py": "import model\n",
        "techniques/wide.md": CARD,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_folder_becomes_a_space(folder: Path) -> None:
    """Everything is read, and hidden files and compiled leftovers are not."""
    space: SearchSpace = load(folder)
    assert (space.name, space.metrics, space.editable) == ("mine", ("auc", "ndcg"), ("model.py",))
    assert dict(space.seed) == {"model.py": "def build():\n    return 1\n"}
    assert dict(space.harness) == {"harness.py": "import model\n"}
    assert space.limits == Limits(cpu_s=30)
    assert [(r.name, r.examples, r.seeds) for r in space.rungs][2:] == [("full", 1000, 1), ("replicated", 1000, 3)]
    assert (space.final.examples, space.techniques[0].name) == (2000, "wide")


def test_the_space_checks_trees(folder: Path) -> None:
    """The gate knows the seed, what is editable and what is required."""
    space = load(folder)
    assert space.check(space.seed) is None
    assert "requires model.py::build" in (space.check({"model.py": "x = 1\n"}) or "")


@pytest.mark.parametrize("path", ["space.toml", "seed/model.py", "harness/harness.py", "techniques/wide.md"])
def test_the_digest_covers_every_file(folder: Path, path: str) -> None:
    """The same folder has the same digest; a change anywhere in it has another."""
    before = load(folder).digest
    assert load(folder).digest == before
    text = (folder / path).read_text()
    (folder / path).write_text(text.replace("cpu_s = 30", "cpu_s = 31").replace("return", "return 0 +") + "\n# more\n")
    if path == "harness/harness.py":
        (folder / path).write_text("import model  # other\n")
    assert load(folder).digest != before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "mine"', 'name = "mine"\nnames = 1', "names: Extra inputs are not permitted"),
        ("cpu_s = 30", "cpu_seconds = 30", "limits.cpu_seconds"),
        ('metric = "auc"', 'metric = "mrr"', "'mrr' is not among metrics"),
        ('name = "short"', 'name = "small"', "rungs are smoke, short, full, replicated"),
        ("examples = 100\n", 'examples = "many"\n', "rungs.1.examples"),
        ("examples = 100\n", "examples = 0\n", "above zero"),
        (
            "examples = 100\n",
            "examples = 100\nmemory_bytes = 1048576\n",
            "rung 'short': memory_bytes is 1048576, not in",
        ),
        (
            "examples = 2000\n",
            "examples = 2000\nmemory_bytes = 9999999999\n",
            "rung 'final': memory_bytes is 9999999999",
        ),
        (
            "examples = 1000\n",
            "examples = 1000\nmemory_bytes = 1073741824\n",
            "'short' has more memory_bytes or limit_s",
        ),
        ("limit_s = 5\n", "limit_s = 6\n", "rung 'smoke' has more memory_bytes or limit_s than 'short' after it"),
        ("examples = 100\n", 'examples = 100\nmemory_bytes = "2 GiB"\n', "rungs.1.memory_bytes"),
        ("floor_seeds = 4\n", "", "floor_seeds: Field required"),
        ('"held_out_split"', '"hope"', "confirmation"),
        ("metrics = [", "metrics = ", "expected TOML"),
        ('["model.py::build"]', '["model.py::missing"]', "the seed fails its own gate"),
        ('editable = ["model.py"]', 'editable = ["other.py"]', "model.py is not editable"),
    ],
)
def test_a_malformed_space_is_one_clear_error(folder: Path, old: str, new: str, words: str) -> None:
    """It names the file and the key, and lists the known keys."""
    assert old in TOML
    (folder / "space.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load(folder)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_rung_may_have_less_memory_than_the_space(folder: Path) -> None:
    """Only a limit that stands in the file is part of the digest, so that older spaces keep theirs."""
    before = load(folder)
    assert [rung.memory_bytes for rung in before.rungs] == [None] * 4
    assert "memory_bytes" not in _said(before.rungs[0])
    smaller = TOML.replace("examples = 10\n", "examples = 10\nmemory_bytes = 1_073_741_824\n")
    (folder / "space.toml").write_text(smaller)
    after = load(folder)
    assert (after.rungs[0].memory_bytes, after.rungs[1].memory_bytes) == (1 << 30, None)
    assert after.digest != before.digest


def test_unknown_keys_are_answered_with_the_known_ones(folder: Path) -> None:
    """At the level where the key stands."""
    (folder / "space.toml").write_text(TOML.replace("cpu_s = 30", "cpu_seconds = 30"))
    with pytest.raises(UsageError, match="Known keys: memory_bytes, cpu_s"):
        load(folder)


def test_a_missing_part_is_named(folder: Path) -> None:
    """No harness entry, and no folder at all."""
    (folder / "harness" / "harness.py").rename(folder / "harness" / "main.py")
    with pytest.raises(UsageError, match=r"expected harness\.py"):
        load(folder)
    with pytest.raises(UsageError, match=r"found no space\.toml"):
        load(folder / "nowhere")


def test_seed_and_harness_share_no_file(folder: Path) -> None:
    """They are staged in one flat folder."""
    (folder / "harness" / "model.py").write_text("")
    with pytest.raises(UsageError, match=r"share the names model\.py"):
        load(folder)


def test_an_unknown_name_lists_the_choices() -> None:
    """The message has every built-in space."""
    with pytest.raises(UsageError) as caught:
        load("no_such_space")
    assert all(name in str(caught.value) for name in names())


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BUILT_IN.glob("*/space.toml")))
def test_every_built_in_space_loads(name: str) -> None:
    """Its folder has its name, its summary is one line, and its seed passes its own gate."""
    space = load(name)
    assert (space.name, space.summary.count("\n")) == (name, 0)
    assert space.check(space.seed) is None
