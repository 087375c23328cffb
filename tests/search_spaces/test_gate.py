"""The static gate: what is refused before it runs, and what is not."""

from __future__ import annotations

import pytest

from evolve.contracts import Tree
from search_spaces.gate import Rules, check

SEED = {"model.py": "import torch\n\n\ndef build_model():\n    return torch.nn.Linear(1, 1)\n", "fixed.py": "X = 1\n"}
RULES = Rules(seed=SEED, editable=("model.py", "extra.py"), required=("model.py::build_model",), file_bytes=2000)


def _check(code: str) -> str | None:
    return check({**SEED, "model.py": SEED["model.py"] + code}, RULES)


def test_the_seed_passes() -> None:
    """No reason is None."""
    assert check(SEED, RULES) is None


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"model.py": SEED["model.py"]}, "fixed.py is missing"),
        ({**SEED, "fixed.py": "X = 2\n"}, "fixed.py was changed"),
        ({**SEED, "new.py": "X = 2\n"}, "new.py is new"),
        ({**SEED, "model.py": "def build_model(:\n"}, "model.py:1 does not parse"),
        ({**SEED, "model.py": "x = 1\0"}, "model.py does not parse"),
        ({**SEED, "model.py": "x = " + "(" * 900}, "does not parse"),
        ({**SEED, "model.py": "# " + "x" * 3000}, "larger than 2000 bytes"),
        ({**SEED, "model.py": "X = 1\n"}, "requires model.py::build_model"),
    ],
)
def test_a_tree_out_of_shape_is_refused_with_one_reason(tree: Tree, words: str) -> None:
    """Paths, size, syntax and required slots."""
    assert words in (check(tree, RULES) or "")


def test_a_listed_file_may_be_new_and_imported() -> None:
    """Editable paths need not be in the seed; a candidate may import its own modules."""
    tree = {**SEED, "extra.py": "import math\n", "model.py": SEED["model.py"] + "import extra, fixed\n"}
    assert check(tree, RULES) is None


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "import sys as math",
        "from subprocess import run",
        "from . import fixed",
        "import torch.multiprocessing",
        "from torch import hub",
        "from torch import *",
        "from torch.utils.cpp_extension import load_inline",
        "x = torch.load('f')",
        "import numpy as np\nx = np.load('f')",
        "import numpy as np\nx = np.lib.npyio.DataSource",
        "open('f')",
        "f = open",
        "eval('1')",
        "exec('1')",
        "__import__('os')",
        "compile('1', '', 'eval')",
        "x = __builtins__",
        "().__class__.__bases__[0].__subclasses__()",
        "build_model.__globals__",
        "getattr(torch, 'lo' + 'ad')",
        "getattr(build_model, '__globals__')",
        "class A:\n    def f(self):\n        return vars()",
        "def f():\n    import socket",
    ],
)
def test_cheap_tricks_are_refused_with_a_line(code: str) -> None:
    """Imports outside the list, files, code from text, and walks over dunder attributes."""
    reason = _check(f"{code}\n")
    assert reason is not None
    assert reason.startswith("model.py:")


@pytest.mark.parametrize(
    "code",
    [
        "import math\nfrom collections import deque\nfrom torch.nn import functional as F\nimport numpy as np",
        "class A(torch.nn.Module):\n    def __init__(self):\n        super().__init__()",
        "x = getattr(torch.nn, 'Linear')",
        "x = torch.compile",
        "def f(x):\n    return x.eval(), x.__len__(), type(x).__name__",
        "@torch.no_grad()\ndef f(x, exec_time=1):\n    return torch.nn.functional.gelu(x)",
        "from dataclasses import dataclass\nfrom typing import Any\nx = np = None",
    ],
)
def test_honest_code_passes(code: str) -> None:
    """What techniques are written with."""
    assert _check(f"{code}\n") is None
