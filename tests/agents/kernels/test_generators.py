"""Each generated kernel is compiled by the real compiler and compared with plain torch, on odd shapes too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from plain_runner import drawn, loaded, module_of, wrong

from agents.kernels.generators import Generator
from agents.kernels.table import GENERATORS
from agents.tunables import Choice
from search_spaces.kernel_spec import BACKENDS, FLAGS, load_spec, operators


def extremes(generator: Generator) -> list[dict[str, object]]:
    """The numbers as they come, and all at their least and greatest."""
    ends = [(t.key.partition("::")[2], t.domain) for t in generator.tunables]
    least = {n: d.options[0] if isinstance(d, Choice) else int(d.low) for n, d in ends}
    greatest = {n: d.options[-1] if isinstance(d, Choice) else int(d.high) for n, d in ends}
    return [{}, least, greatest] if ends else [{}]


CASES = [
    pytest.param(g, values, id=f"{g.name}-{word}")
    for g in GENERATORS
    for values, word in zip(extremes(g), ("first", "least", "greatest"), strict=False)
]


@pytest.mark.parametrize(("generator", "values"), CASES)
def test_a_generated_kernel_equals_plain_torch_on_every_case(generator, values, tmp_path):
    spec = load_spec(generator.operator)
    truth, kernel = module_of(spec), loaded(generator.files(values), spec, tmp_path)
    for case in spec.cases:
        inputs = drawn(spec, case, seed=len(case.name))
        wanted = truth.reference(*inputs, **spec.named(case))
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        found = kernel(inputs, case)
        assert not wrong(spec, found, settled(truth, spec, inputs, case, found, wanted)), case.name


def settled(truth, spec, inputs, case, found, wanted):
    """Which ids stand where scores are equal is left open: they are right where their items have those scores."""
    if not hasattr(truth, "again"):
        return wanted
    tolerance = spec.tolerance["float32"]
    values = dict(zip((array.name for array in spec.inputs), inputs, strict=True)) | spec.named(case)
    again = truth.again(values, *found)
    assert torch.allclose(again, found[0], rtol=tolerance.relative, atol=tolerance.absolute), case.name
    return (wanted[0], *found[1:])


def test_generators_belong_to_operators_that_exist_and_use_what_a_candidate_may():
    assert {g.operator for g in GENERATORS} <= set(operators())
    for generator in GENERATORS:
        assert set(generator.flags) <= set(FLAGS)
        assert set(generator.files()) == {BACKENDS[generator.backend], "kernel.toml"}
