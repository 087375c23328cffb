"""The layout that DESIGN promises: who imports whom, what is cargo, and how large things are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = ("evolve", "agents", "sandbox", "search_spaces", "evaluations")
CARGO = ("seed", "harness")
SHARED = ("evolve.contracts", "evolve.errors", "evolve.syntax")
MAY_IMPORT = {
    "agents": {"agents", *SHARED},
    "sandbox": {"sandbox", *SHARED},
    "search_spaces": {"search_spaces", *SHARED},
    "evaluations": {"evaluations", "sandbox", "search_spaces", *SHARED},
}


def host_files() -> list[Path]:
    files = [p for folder in HOST for p in (ROOT / folder).rglob("*.py")]
    return [p for p in files if not set(p.relative_to(ROOT).parts) & {"seed", "harness"}]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module}
    return found


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_it_may(folder):
    for path in host_files():
        if path.relative_to(ROOT).parts[0] != folder:
            continue
        ours = {name for name in imports(path) if name.split(".")[0] in HOST}
        allowed = MAY_IMPORT[folder]
        wrong = {name for name in ours if not any(name == ok or name.startswith(f"{ok}.") for ok in allowed)}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_host_code_parses_beside_threads_in_one_way_only():
    """`evolve.syntax` reads again what another thread disturbed."""
    wrong = [path for path in host_files() if "ast.parse(" in path.read_text() and path.name != "syntax.py"]
    assert not wrong


def test_the_loop_imports_none_of_the_four_host_folders():
    ours = {name.split(".")[0] for name in imports(ROOT / "evolve/loop.py")}
    assert not ours & {"agents", "sandbox", "search_spaces", "evaluations"}


def test_cargo_imports_nothing_of_ours_and_has_no_package_file():
    folders = [folder for folder in (ROOT / "search_spaces").glob("*/*") if folder.name in CARGO]
    for folder in (*folders, ROOT / "kernels"):
        assert not (folder / "__init__.py").exists()
        for path in folder.rglob("*.py"):
            assert not {name.split(".")[0] for name in imports(path)} & set(HOST), path


def test_files_and_functions_keep_their_size():
    lengths: list[int] = []
    for path in host_files():
        text = path.read_text()
        assert text.count("\n") <= (670 if path.name == "contracts.py" else 320), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths.append((node.end_lineno or 0) - node.lineno + 1)
                assert lengths[-1] <= 60, f"{path}:{node.name}"
    lengths.sort()
    assert lengths[int(0.9 * (len(lengths) - 1))] < 30


def test_importing_every_host_package_does_no_heavy_work():
    heavy = {"torch", "litellm", "langgraph", "optuna", "docker", "scipy", "plotly", "polars"}
    code = f"import {', '.join(HOST)}, evolve.cli, evolve.loop, sys; print({heavy!r} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "set()"


def test_the_project_speaks_of_itself_alone():
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    words = ("/work" + "/", ".." + "/shared", "/tmp/bash" + "_jobs")
    for name in listed:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".json", ".sh", ""} and path.is_file():
            text = path.read_text(errors="replace")
            assert not [word for word in words if word in text], name
