"""A kernel that ships: a package that stands alone, keeps to its domain, and tests itself."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import warnings

import pytest
import torch

from agents.kernels.table import GENERATORS
from evolve.errors import UsageError
from evolve.kernel_export import Origin, export
from search_spaces.kernel_spec import load_spec

ORIGIN = Origin(run="r", number=3, commit="0" * 40)
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ (Debian: g++)")


def shipped(name, folder, monkeypatch):
    generator = next(g for g in GENERATORS if g.name == name)
    target = folder / f"shipped_{generator.operator}"
    export(load_spec(generator.operator), generator.files(), ORIGIN, target)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    sys.modules.pop(target.name, None)
    return importlib.import_module(target.name), target


@needs_compiler
@pytest.mark.parametrize("name", [g.name for g in GENERATORS if g.backend == "cpp"])
def test_the_package_passes_its_own_regression_test_alone(name, tmp_path, monkeypatch):
    _, folder = shipped(name, tmp_path, monkeypatch)
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@needs_compiler
def test_inside_the_domain_the_kernel_answers_and_outside_the_reference(tmp_path, monkeypatch):
    module, _ = shipped("rms_norm.rows", tmp_path, monkeypatch)
    x, weight = torch.randn(7, 33), torch.randn(33)
    assert module.accepted([x, weight], {}) == {"rows": 7, "columns": 33}
    torch.testing.assert_close(module.rms_norm(x, weight), module.reference(x, weight, epsilon=1e-6))
    for outside in ([x.double(), weight], [x[0], weight], [x, weight[:5]], [x[:0], weight], [x], [x, [1.0] * 33]):
        assert module.accepted(outside, {}) is None
    assert module.accepted([x, weight], {"epsilon": 1e-3}) is None
    answer = module.rms_norm(x, weight, epsilon=1e-3)
    torch.testing.assert_close(answer, module.reference(x, weight, epsilon=1e-3), rtol=0, atol=0)
    trained = x.clone().requires_grad_()
    module.rms_norm(trained, weight).sum().backward()
    assert trained.grad is not None


@needs_compiler
def test_offsets_that_lead_astray_never_reach_the_kernel(tmp_path, monkeypatch):
    module, _ = shipped("embedding_bag_sum.registers", tmp_path, monkeypatch)
    table, ids = torch.randn(5, 4), torch.tensor([0, 1, 2])
    assert module.accepted([table, ids, torch.tensor([0, 1, 3])], {}) is not None
    for offsets in ([0, 1, 4], [0, 9, 3], [1, 2, 3], [0, -1, 3]):
        assert module.accepted([table, ids, torch.tensor(offsets)], {}) is None


@needs_compiler
def test_a_size_that_no_shape_tells_is_taken_by_name_and_edges_out_of_order_get_the_reference(tmp_path, monkeypatch):
    module, _ = shipped("top_k.threshold", tmp_path, monkeypatch)
    queries, catalogue = torch.randn(3, 4), torch.randn(9, 4)
    assert module.accepted([queries, catalogue], {"k": 2}) == {"batch": 3, "items": 9, "width": 4, "k": 2}
    for named in ({}, {"k": 0}, {"k": True}, {"k": 2.0}, {"k": 2, "more": 1}):
        assert module.accepted([queries, catalogue], named) is None
    module, _ = shipped("bucketise.lanes", tmp_path, monkeypatch)
    assert module.accepted([torch.zeros(1, 1), torch.tensor([[0.0, 1.0]])], {}) is not None
    assert module.accepted([torch.zeros(1, 1), torch.tensor([[1.0, 0.0]])], {}) is None


def test_where_nothing_can_be_built_the_reference_answers_and_says_so_once(tmp_path, monkeypatch):
    module, _ = shipped("rms_norm.rows", tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    x, weight = torch.randn(3, 4), torch.ones(4)
    with pytest.warns(RuntimeWarning, match="falls back"):
        first = module.rms_norm(x, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(module.rms_norm(x, weight), first)


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        export(load_spec("rms_norm"), GENERATORS[0].files(), ORIGIN, tmp_path)
