"""A run as one file that replays elsewhere, and back. Trusts nothing of a file that it is given.

The file is a zip of three members, stored and not compressed: the lineage as a git bundle, the journal, and a
manifest with versions and checksums. A member is never larger than the file, so nothing can swell up on the way out;
no path is taken from the file. Checksums find damage; a forger can make new ones, and only measuring again
(`evolve replay --verify`) finds that.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.errors import JournalError, RunError, UsageError
from evolve.journal import Record, read
from evolve.lineage import Lineage
from evolve.replay.joined import check_joined
from evolve.run_folder import JOURNAL, RunFolder, create

FORMAT = 1
MANIFEST, LINEAGE = "manifest.json", "lineage.bundle"
MEMBERS = (MANIFEST, JOURNAL, LINEAGE)
MANIFEST_BYTES = 64 << 20
CHUNK = 1 << 20
NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$"


class Manifest(BaseModel):
    """What a bundle says of itself. `lines` holds the first 16 hex digits of the sha256 of each journal line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    run: str
    versions: dict[str, str]
    records: int
    last_hash: str
    journal_sha256: str
    lineage_sha256: str
    lines: list[str]


def export(folder: RunFolder, file: Path, versions: Mapping[str, str]) -> Manifest:
    """Writes a run at any stage to `file`, whole or not at all. Works while another process writes the run.

    Raises JournalError where the run's journal is damaged, RunError where the file can't be written.
    """
    known = list(read(folder.journal))
    lines = folder.journal.read_bytes().splitlines(keepends=True)[: len(known)]
    unfinished = file.with_name(file.name + ".new")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            lineage = Path(scratch) / LINEAGE
            Lineage(folder.lineage).bundle(lineage)
            manifest = Manifest(
                format=FORMAT,
                run=folder.name,
                versions=dict(versions),
                records=len(known),
                last_hash=known[-1].hash if known else "",
                journal_sha256=hashlib.sha256(b"".join(lines)).hexdigest(),
                lineage_sha256=_sha256(lineage),
                lines=[_short(line) for line in lines],
            )
            with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as packed:
                packed.writestr(zipfile.ZipInfo(MANIFEST), manifest.model_dump_json(indent=1))
                packed.writestr(zipfile.ZipInfo(JOURNAL), b"".join(lines))
                packed.write(lineage, LINEAGE)
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RunError(f"{file} can't be written: {error.strerror}", hint="Choose another place.") from error
    return manifest


def import_file(file: Path, runs: Path, name: str = "") -> RunFolder:
    """Checks a bundle and makes a run of it in `runs`, whole or not at all.

    Raises:
        UsageError: the file is not a bundle, or holds what no bundle holds.
        JournalError: a record is damaged, missing, or does not fit the lineage; `record` is the first such one.
    """
    with _opened(file) as packed, _scratch(runs) as scratch:
        manifest = _manifest(packed)
        sums = {member: _copy(packed, member, scratch / member) for member in (JOURNAL, LINEAGE)}
        known = _checked_journal(scratch / JOURNAL, manifest, sums[JOURNAL])
        if sums[LINEAGE] != manifest.lineage_sha256:
            raise UsageError(f"the lineage in {file} is damaged: its checksum is not the manifest's", hint=AGAIN)
        lineage = Lineage(scratch / "lineage.git")
        lineage.unbundle(scratch / LINEAGE)
        check_joined(known, lineage, scratch / JOURNAL)
        folder = create(runs, name or manifest.run)
        lineage.path.rename(folder.lineage)
        folder.manifest.write_text(manifest.model_dump_json(indent=1))
        (scratch / JOURNAL).rename(folder.journal)  # last: a folder without a journal is no run
    return folder


AGAIN = "Export the run again, or copy the file again."


@contextmanager
def _opened(file: Path) -> Generator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as packed:
            yield packed
    except FileNotFoundError:
        raise UsageError(f"there is no file {file}", hint="Make one: evolve export RUN --bundle FILE") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise UsageError(f"{file} is not a bundle, or is damaged: {error}", hint=AGAIN) from error


@contextmanager
def _scratch(runs: Path) -> Generator[Path]:
    """A folder on the same disk, so that a run can be moved into place in one step."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".import-", dir=runs))
    except OSError as error:
        raise RunError(f"nothing can be written to {runs}: {error.strerror}", hint="Choose another --out.") from error
    try:
        (scratch / "in").mkdir()  # one deeper than runs: half an import is never taken for a run
        yield scratch / "in"
    finally:
        shutil.rmtree(scratch)


def _manifest(packed: zipfile.ZipFile) -> Manifest:
    """The manifest, after the members were found to be what a bundle holds and nothing else."""
    for info in packed.infolist():
        if info.filename not in MEMBERS:
            raise UsageError(f"expected a bundle of {', '.join(MEMBERS)}; found a member {info.filename!r}", hint=AGAIN)
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise UsageError(f"the member {info.filename} is compressed or encrypted; a bundle stores", hint=AGAIN)
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise UsageError(f"the member {info.filename} is not a plain file", hint=AGAIN)
    if sorted(packed.namelist()) != sorted(MEMBERS):
        raise UsageError(f"expected each of {', '.join(MEMBERS)} once; found {packed.namelist()}", hint=AGAIN)
    if packed.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
        raise UsageError(f"the manifest is larger than {MANIFEST_BYTES >> 20} MiB", hint=AGAIN)
    try:
        manifest = Manifest.model_validate_json(packed.read(MANIFEST))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"the manifest can't be read: {first['msg']} at {first['loc']}", hint=AGAIN) from error
    if manifest.format != FORMAT:
        raise UsageError(f"the bundle has format {manifest.format}; this version of evolve knows {FORMAT}")
    return _with_sound_name(manifest)


def _with_sound_name(manifest: Manifest) -> Manifest:
    import re

    if not re.match(NAME, manifest.run):
        raise UsageError(f"{manifest.run!r} is no name for a run", hint="A name has letters, digits, `.`, `_`, `-`.")
    return manifest


def _checked_journal(path: Path, manifest: Manifest, found: str) -> Sequence[Record]:
    """The records, each in its place in the chain and as the manifest says. Raises JournalError for the first bad."""
    known = list(read(path))
    lines = path.read_bytes().splitlines(keepends=True)
    for number, (line, said) in enumerate(zip(lines, manifest.lines, strict=False)):
        if _short(line) != said:
            raise _bad(number, "it is not what the manifest says was exported")
    if len(known) != manifest.records or len(lines) != len(manifest.lines):
        first = min(len(known), manifest.records)
        raise _bad(first, f"the manifest speaks of {manifest.records} records, the journal holds {len(known)}")
    if found != manifest.journal_sha256 or not known or known[-1].hash != manifest.last_hash:
        raise _bad(max(0, len(known) - 1), "the manifest names another last record or checksum")
    return known


def _bad(number: int, found: str) -> JournalError:
    return JournalError(f"record {number} of the bundle's journal is damaged: {found}", record=number, hint=AGAIN)


def _copy(packed: zipfile.ZipFile, member: str, target: Path) -> str:
    with packed.open(member) as source, target.open("wb") as kept:
        return _digest(source, kept)


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return _digest(source)


def _digest(source: IO[bytes], kept: IO[bytes] | None = None) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        if kept is not None:
            kept.write(chunk)
    return digest.hexdigest()


def _short(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]
