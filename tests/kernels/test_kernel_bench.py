"""Problems in the shape of KernelBench: read, resized, and compared with a `ModelNew` in the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluations.kernel_bench.compare import Plan, compare
from evaluations.kernel_bench.problem import read_model, read_problem
from evolve.errors import UsageError
from sandbox.local import LocalSandbox

SHAPED = Path(__file__).resolve().parent / "shaped"
PROBLEMS = sorted(SHAPED.glob("*.py"))
QUICK = Plan(seeds=(3, 1, 4), rounds=5, round_s=0.002)
FIRST = read_problem(PROBLEMS[0], {"batch": 16, "features": 32})
HEAD = "import torch\nfrom torch import nn\n\nclass ModelNew(nn.Module):\n    def forward(self, x):\n"


@pytest.fixture
def box():
    made = LocalSandbox()
    yield made
    made.close()


def test_there_are_five_problems_of_our_own_each_with_a_new_model():
    assert len(PROBLEMS) == 5
    assert {path.name for path in PROBLEMS} == {path.name for path in (SHAPED / "new").glob("*.py")}


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_each_is_right_and_has_a_speed_with_an_interval(path, box):
    problem = read_problem(path, {"batch": 8})
    assert problem.sizes["batch"] == 8
    found = compare(problem, read_model(SHAPED / "new" / path.name), box, QUICK)
    assert found.is_correct, found.reason
    assert 0 < found.low <= found.speed <= found.high


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("        return torch.softmax(x, dim=1)\n", "differs by"),
        ("        raise RuntimeError('no')\n", "seed 3"),
        ("        return torch.zeros(2, 2)\n", "seed 3"),
    ],
)
def test_a_wrong_or_broken_model_has_no_speed(body, reason, box):
    found = compare(FIRST, HEAD + body, box, QUICK)
    assert not found.is_correct
    assert found.speed == 0
    assert reason in found.reason


def test_a_suspicious_speed_is_measured_again(box):
    slow = read_problem(PROBLEMS[0], {"batch": 16, "features": 32})
    late = slow.source.replace(
        "        return torch.softmax", "        __import__('time').sleep(0.01)\n        return torch.softmax"
    )
    model = HEAD + "        return torch.softmax(x, dim=1) * x.amax(dim=1, keepdim=True)\n"
    found = compare(type(slow)(name="late", source=late, sizes=slow.sizes), model, box, QUICK)
    assert found.was_measured_again
    assert found.speed > 10


def test_a_size_that_is_not_there_is_a_clear_error():
    with pytest.raises(UsageError, match="no size colour"):
        read_problem(PROBLEMS[0], {"colour": 3})


def test_a_file_of_another_shape_is_a_clear_error(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("class Model: pass\n")
    with pytest.raises(UsageError, match="missing: get_inputs, get_init_inputs"):
        read_problem(file)
    with pytest.raises(UsageError, match="expected a class `ModelNew`"):
        read_model(file)
    file.write_text("def (")
    with pytest.raises(UsageError, match="expected Python"):
        read_problem(file)


def test_a_reference_that_fails_is_its_authors_error(tmp_path, box):
    file = tmp_path / "broken.py"
    file.write_text(PROBLEMS[0].read_text().replace("torch.softmax", "torch.no_such_thing"))
    with pytest.raises(UsageError, match="the reference itself failed"):
        compare(read_problem(file), HEAD + "        return x\n", box, QUICK)
