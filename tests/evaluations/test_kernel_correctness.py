"""Every operator's seed is right on all that it is tried on, and a wrong kernel is found out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluations.kernels import correctness
from evaluations.kernels.backends import Built, backends
from evaluations.kernels.baselines import job_of
from evaluations.kernels.inputs import draw
from evaluations.kernels.talk import Talk
from evaluations.kernels.truth import Truth
from evolve.contracts import Fault, FaultKind, Tree
from sandbox.local import LocalSandbox
from search_spaces.kernel_gate import read_config
from search_spaces.kernel_space import KernelSpace, load
from search_spaces.kernel_spec import operators
from tests.attacks.corpus.kernels import arena


@pytest.fixture(autouse=True)
def _compiler() -> None:
    if shutil.which("g++", path="/usr/bin") is None:
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)("no /usr/bin/g++")


@pytest.fixture(scope="module")
def box() -> Iterator[LocalSandbox]:
    made = LocalSandbox(warm_torch=False)
    yield made
    made.close()


def fault_of(space: KernelSpace, tree: Tree, box: LocalSandbox, folder: Path) -> Fault | None:
    """What is wrong with a kernel before it is timed."""
    assert (refused := space.check(tree)) is None, refused
    config = read_config(tree)
    built = backends()[config.backend].build(tree, config, space.spec, box)
    if not isinstance(built, Built):
        return built
    with box.open(job_of(space, built, config.backend, 1, folder, space.limits)) as session:
        talk = Talk(session, space.spec, 60.0)
        return talk.load() or correctness.wrong(talk, Truth(space.spec, space.reference), np.random.default_rng())


@pytest.mark.parametrize("backend", ["cpp", "torch", "numba", "triton"])
@pytest.mark.parametrize("name", operators())
def test_an_operator_written_plainly_is_right_everywhere_on_every_backend(
    name: str, backend: str, box: LocalSandbox, tmp_path: Path
) -> None:
    if missing := backends()[backend].missing():
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)(missing)
    space = load(f"kernel:{name}")
    assert fault_of(space, space.plain[backend], box, tmp_path) is None


def test_a_triton_kernel_is_checked_and_never_timed(box: LocalSandbox) -> None:
    if missing := backends()["triton"].missing():
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)(missing)
    space = load("kernel:gated_path")
    wrong = {**space.plain["triton"]}
    wrong["kernel.py"] = wrong["kernel.py"].replace("r + g", "r - g")
    with arena(box, "gated_path") as judged:
        played = judged.play(space.plain["triton"])
        assert (played.outcome, played.log2_speed) == ("failed", 0.0)
        assert played.reason.startswith("right in every case, and not timed: ")
        assert judged.play(wrong).reason.startswith("wrong result: ")
        assert judged.wrong(space.plain["triton"]) == "" and judged.wrong(wrong).startswith("wrong result: ")


@pytest.mark.parametrize("name", operators())
def test_every_input_that_is_edited_touches_a_place_of_the_output(name: str) -> None:
    space = load(f"kernel:{name}")
    truth, rng = Truth(space.spec, space.reference), np.random.default_rng(1)
    for case in space.spec.timed[:1]:
        inputs, edited = draw(space.spec, case, rng), space.spec.edited
        other = draw(space.spec, case, rng)[edited].reshape(-1)
        moved = 0
        for index in rng.integers(0, other.size, 8).tolist():
            place = truth.touched(case, inputs, index)
            changed = inputs[edited].copy()
            changed.reshape(-1)[index] = other[index]
            before, after = (truth.expected(case, {**inputs, edited: array})[0] for array in (inputs[edited], changed))
            moved += before.reshape(-1)[place] != after.reshape(-1)[place]
        assert moved >= 4


WRONG = {
    "writes nothing": "",
    "half precision": "for (int64_t i = 0; i < rows * columns; ++i) y[i] = 0;",
    "leaves the last row": "WHOLE y[(rows - 1) * columns] += 1;",
}


@pytest.mark.parametrize("way", WRONG)
def test_a_wrong_kernel_has_no_score(way: str, box: LocalSandbox, tmp_path: Path) -> None:
    space = load("kernel:rms_norm")
    head, _, rest = space.seed["kernel.cpp"].partition("{")
    body = WRONG[way].replace("WHOLE", rest.rpartition("}")[0])
    fault = fault_of(space, {**space.seed, "kernel.cpp": f"{head}{{{body}}}\n"}, box, tmp_path)
    assert fault is not None
    assert fault.kind is FaultKind.WRONG or "outside" in fault.reason


def test_tunables_reach_c_as_macros_and_numba_writes_its_outputs(box: LocalSandbox, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    space = load("kernel:gated_path")
    source = (
        "import math\nimport numba\nfrom kernel_tunables import STEP\n\n\n@numba.njit\n"
        "def kernel(gate, value, residual, y):\n"
        "    for row in range(0, gate.shape[0], STEP):\n        for column in range(gate.shape[1]):\n"
        "            one = gate[row, column]\n"
        "            y[row, column] = residual[row, column] + one / (1 + math.exp(-one)) * value[row, column]\n"
    )
    for step, right in ((1, True), (2, False)):
        tree = {"kernel.toml": f'backend = "numba"\n[tunables]\nSTEP = {step}\n', "kernel.py": source}
        assert (fault_of(space, tree, box, tmp_path) is None) is right


def test_the_gate_says_why_it_refuses() -> None:
    space = load("kernel:rms_norm")
    cpp, toml = space.seed["kernel.cpp"], space.seed["kernel.toml"]
    refused = {
        "allowed": {**space.seed, "kernel.cpp": '#include "/etc/passwd"\n' + cpp},
        "`system`": {**space.seed, "kernel.cpp": cpp + "void f() { system(0); }"},
        "flag": {**space.seed, "kernel.toml": 'backend = "cpp"\nflags = ["-fplugin=x"]\n'},
        "capitals": {**space.seed, "kernel.toml": toml + "[tunables]\nx = 1\n"},
        "missing": {"kernel.toml": toml},
        "is new": {**space.seed, "other.cpp": cpp},
        "may not be imported": {"kernel.toml": 'backend = "torch"', "kernel.py": "import os\n"},
        "Input should be": {**space.seed, "kernel.toml": 'backend = "cuda"'},
    }
    for word, tree in refused.items():
        assert word in (space.check(tree) or ""), (word, space.check(tree))
    assert replace(space).check(space.seed) is None
