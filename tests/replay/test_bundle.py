"""One file that replays elsewhere; damage is named by its first record, and hostile files are refused whole."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolve.config import StartConfig
from evolve.errors import EvolveError, JournalError, SandboxError, UsageError
from evolve.journal import Journal, read
from evolve.lineage import Lineage
from evolve.replay.bundle import JOURNAL, LINEAGE, MANIFEST, export, import_file
from evolve.replay.steps import steps, to_json
from evolve.run_folder import RunFolder
from evolve.wiring import box_for, read_archive
from tests.cli.test_cli import evolve
from tests.toys import Ticking, hashes, toy_loop

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    place = tmp_path_factory.mktemp("runs") / "toy"
    toy_loop(place).run()
    return RunFolder(place)


@pytest.fixture(scope="module")
def file(folder: RunFolder) -> Path:
    target = folder.path.parent / "toy.evolve"
    export(folder, target, {"python": "3.11"})
    return target


def members(file: Path) -> Members:
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def packed(target: Path, held: Members, **changes: int) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in held.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = changes.get("mode", 0) << 16
            archive.writestr(info, text, changes.get("method", zipfile.ZIP_STORED))
    return target


def refused(file: Path, runs: Path, error: type[EvolveError], match: str) -> EvolveError:
    """It raises, and leaves nothing behind: neither in the folder nor around it."""
    around = sorted(runs.parent.iterdir())
    with pytest.raises(error, match=match) as caught:
        import_file(file, runs)
    assert not runs.exists() or not list(runs.iterdir())
    assert sorted(p for p in runs.parent.iterdir() if p != runs) == [p for p in around if p != runs]
    return caught.value


def test_an_imported_run_has_the_same_chain_state_and_steps(folder, file, tmp_path):
    taken = import_file(file, tmp_path / "elsewhere")
    assert taken.name == "toy" and taken.is_imported() and not folder.is_imported()
    assert hashes(list(read(taken.journal))) == hashes(list(read(folder.journal)))
    here, there = Lineage(folder.lineage), Lineage(taken.lineage)
    for a, b in zip(steps(read(folder.journal), here), steps(read(taken.journal), there), strict=True):
        diff = [lineage.diff(a.candidate.parents[0], a.candidate.commit) for lineage in (here, there)]
        assert to_json(a, diff[0]) == to_json(b, diff[1])
    subprocess.run(["git", "--git-dir", str(taken.lineage), "fsck", "--strict"], check=True)
    tags = [subprocess.check_output(["git", "--git-dir", str(p), "for-each-ref"]) for p in (here.path, there.path)]
    assert tags[0] == tags[1]


def test_an_imported_run_goes_on_to_the_same_end(folder, tmp_path):
    toy_loop(tmp_path / "half" / "toy", budget=9).run()
    export(RunFolder(tmp_path / "half" / "toy"), tmp_path / "f", {})
    taken = import_file(tmp_path / "f", tmp_path / "other")
    loop = toy_loop(taken.path, budget=20)
    loop.run()
    assert loop.archive.champion == read_archive(folder).champion


def test_a_strangers_code_never_runs_without_walls(folder, file, tmp_path):
    config = StartConfig(sandbox="local", workers=1)
    with pytest.raises(SandboxError, match="local"):
        box_for(config, import_file(file, tmp_path))
    box_for(config, folder).close()


def test_a_second_import_gets_a_name_of_its_own(file, tmp_path):
    assert [import_file(file, tmp_path).name for _ in range(2)] == ["toy", "toy-2"]
    assert import_file(file, tmp_path, "mine").name == "mine"


@pytest.mark.parametrize("number", [0, 3, 41])
def test_a_changed_record_is_named(file, tmp_path, number):
    held = members(file)
    lines = held[JOURNAL].splitlines(keepends=True)
    lines[number] = re.sub(rb'"body":\{"(\w)', rb'"body":{"X\1', lines[number], count=1)
    bad = packed(tmp_path / "bad", {**held, JOURNAL: b"".join(lines)})
    error = refused(bad, tmp_path / "runs", JournalError, f"record {number} ")
    assert error.record == number


def test_a_changed_measured_time_is_named_though_the_chain_does_not_cover_it(file, tmp_path):
    held = members(file)
    lines = held[JOURNAL].splitlines(keepends=True)
    lines[7] = re.sub(rb'"at":[\d.]+', b'"at":1.5', lines[7])
    bad = packed(tmp_path / "bad", {**held, JOURNAL: b"".join(lines)})
    assert refused(bad, tmp_path / "runs", JournalError, "manifest").record == 7


def test_missing_records_are_named(file, tmp_path):
    held = members(file)
    lines = held[JOURNAL].splitlines(keepends=True)
    bad = packed(tmp_path / "bad", {**held, JOURNAL: b"".join(lines[:-3])})
    assert refused(bad, tmp_path / "runs", JournalError, "speaks of").record == len(lines) - 3


def test_a_damaged_lineage_is_refused(file, tmp_path):
    held = members(file)
    damaged = bytearray(held[LINEAGE])
    damaged[len(damaged) // 2] ^= 1
    refused(packed(tmp_path / "bad", {**held, LINEAGE: bytes(damaged)}), tmp_path / "runs", UsageError, "lineage")


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "lineage.git/hooks/post-update", "..\\evil", "journal.jsonl/x"]
)
def test_a_path_that_leads_elsewhere_is_refused(file, tmp_path, name):
    bad = packed(tmp_path / "bad", {**members(file), name: b"evil"})
    refused(bad, tmp_path / "runs", UsageError, "found a member")


def test_a_link_is_refused(file, tmp_path):
    bad = packed(tmp_path / "bad", members(file), mode=stat.S_IFLNK | 0o777)
    refused(bad, tmp_path / "runs", UsageError, "plain file")


def test_a_bomb_is_refused_before_anything_is_unpacked(file, tmp_path):
    bomb = {**members(file), JOURNAL: b"\0" * (64 << 20)}
    bad = packed(tmp_path / "bad", bomb, method=zipfile.ZIP_DEFLATED)
    assert bad.stat().st_size < 1 << 20
    refused(bad, tmp_path / "runs", UsageError, "compressed")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(file, tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(file.read_bytes())
    with zipfile.ZipFile(bad, "a") as archive:
        archive.writestr(JOURNAL, b"")
    refused(bad, tmp_path / "runs", UsageError, "once")


@pytest.mark.parametrize("run", ["../up", "", ".hidden", "a/b", "x" * 200, "-option"])
def test_a_name_that_is_a_path_is_refused(file, tmp_path, run):
    held = members(file)
    manifest = {**json.loads(held[MANIFEST]), "run": run}
    refused(
        packed(tmp_path / "bad", {**held, MANIFEST: json.dumps(manifest).encode()}),
        tmp_path / "runs",
        UsageError,
        "name",
    )


def forged(folder: RunFolder, place: Path, change) -> Path:
    """A bundle whose chain and checksums are sound, for a forger can make them: `change` edits a record's body."""
    place.mkdir()
    subprocess.run(["cp", "-r", str(folder.lineage), str(place)], check=True)
    journal = Journal(place / JOURNAL, Ticking())
    for record in read(folder.journal):
        body = json.loads(json.dumps(dict(record.body)))
        change(record, body)
        journal.append(record.kind, body)
    journal.close()
    export(RunFolder(place), place.with_suffix(".evolve"), {})
    return place.with_suffix(".evolve")


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("commit", "--output=/tmp/evil", "no commit"),
        ("commit", "0" * 40, "does not hold"),
        ("number", 17, "the next one is 4"),
        ("reference", 99, "does not fit"),
    ],
)
def test_a_record_that_does_not_fit_the_lineage_is_named(folder, tmp_path, field, value, match):
    def change(record, body):
        if record.kind == "proposed" and body["number"] == 4:
            body[field] = value

    bad = forged(folder, tmp_path / "forged", change)
    number = next(r.number for r in read(folder.journal) if r.kind == "proposed" and r.body["number"] == 4)
    assert refused(bad, tmp_path / "runs", JournalError, match).record == number


def hostile_lineage(folder: RunFolder, place: Path, stream: str) -> Path:
    """A run of one seed whose commit was made by hand."""
    place.mkdir()
    lineage = Lineage(place / "lineage.git")
    git = ["git", "--git-dir", str(lineage.path)]
    subprocess.run([*git, "fast-import", "--quiet"], input=stream.encode(), check=True)
    commit = subprocess.check_output([*git, "rev-parse", "refs/evolve/candidates/0"], text=True).strip()
    journal = Journal(place / JOURNAL, Ticking())
    journal.append("started", {**dict(next(read(folder.journal)).body), "seed_commit": commit})
    journal.close()
    export(RunFolder(place), place.with_suffix(".evolve"), {})
    return place.with_suffix(".evolve")


HEAD = "commit refs/evolve/candidates/0\ncommitter x <x@x> 0 +0000\ndata 1\nx\n"


@pytest.mark.parametrize(
    "entry",
    [
        "M 120000 inline model.py\ndata 11\n/etc/passwd\n",
        "M 100755 inline model.py\ndata 1\nx\n",
        "M 160000 " + "1" * 40 + " sub\n",
        "M 100644 inline -rf\ndata 1\nx\n",
        'M 100644 inline "a\\nb"\ndata 1\nx\n',
    ],
)
def test_a_candidate_with_links_programs_or_odd_paths_is_refused(folder, tmp_path, entry):
    bad = hostile_lineage(folder, tmp_path / "hostile", HEAD + entry)
    assert refused(bad, tmp_path / "runs", JournalError, "plain paths").record == 0


def test_a_tree_that_holds_itself_many_times_over_is_refused_in_time(folder, tmp_path):
    """Ten trees of ten entries each, every one the same: a few kilobytes that list ten thousand million files."""
    place = tmp_path / "bomb.git"
    git = ["git", "--git-dir", str(place)]
    subprocess.run(["git", "init", "--quiet", "--bare", str(place)], check=True)
    below = subprocess.check_output([*git, "hash-object", "-w", "--stdin"], input=b"x").decode().strip()
    kind = "100644 blob"
    for _ in range(10):
        listing = "".join(f"{kind} {below}\tf{i}\n" for i in range(10))
        below = subprocess.check_output([*git, "mktree"], input=listing.encode()).decode().strip()
        kind = "040000 tree"
    env = {**os.environ, **{f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}}
    commit = subprocess.check_output([*git, "commit-tree", below, "-m", "x"], env=env).decode().strip()
    subprocess.run([*git, "update-ref", "refs/evolve/candidates/0", commit], check=True)
    run = tmp_path / "run"
    run.mkdir()
    place.rename(run / "lineage.git")
    journal = Journal(run / JOURNAL, Ticking())
    journal.append("started", {**dict(next(read(folder.journal)).body), "seed_commit": commit})
    journal.close()
    export(RunFolder(run), tmp_path / "f", {})
    assert (tmp_path / "f").stat().st_size < 1 << 16
    refused(tmp_path / "f", tmp_path / "runs", JournalError, "list of files")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_any_byte_changed_is_taken_whole_or_refused(file, tmp_path, data):
    """What is taken is the run as it was exported; everything else is a clear error, never a traceback."""
    text = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    bad = tmp_path / "bad"
    bad.write_bytes(bytes(text))
    try:
        taken = import_file(bad, tmp_path / "any")
    except EvolveError:
        return
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as good:
        assert taken.journal.read_bytes() == good.read(JOURNAL)


def test_the_commands_carry_a_run_from_one_place_to_another(folder, tmp_path):
    told = evolve("export", folder.path, "--bundle", tmp_path / "toy.evolve")
    assert told.returncode == 0 and "evolve import" in told.stdout
    taken = evolve("import", tmp_path / "toy.evolve", "--out", tmp_path / "runs", "--json")
    assert json.loads(taken.stdout)["run"] == "toy"
    assert "promoted" in evolve("replay", "toy", "--out", tmp_path / "runs").stdout


def test_a_file_that_is_no_bundle_and_one_that_is_not_there(tmp_path):
    (tmp_path / "text").write_text("hello")
    for name, words in (("text", "not a bundle"), ("nowhere", "no file")):
        ended = evolve("import", tmp_path / name, "--out", tmp_path / "runs")
        assert ended.returncode == 2 and words in ended.stderr and "Traceback" not in ended.stderr
