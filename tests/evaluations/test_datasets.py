"""Data sets: files of a user's own, the cache, and MovieLens-100K where it was fetched before."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluations import datasets, datasets_movielens
from evaluations.datasets_store import interactions
from evolve.errors import DataError

ROWS = "user_id,item_id,timestamp\n7,b,30\n7,a,10\n3,c,5\n7,c,20\n"


def test_a_csv_becomes_numbered_events_in_order(tmp_path: Path) -> None:
    """Users and items are numbered by their ids, and a user's events follow time."""
    (tmp_path / "log.csv").write_text(ROWS)
    log = datasets.import_file("shop", tmp_path / "log.csv", tmp_path)
    assert (log.user_count, log.item_count) == (2, 3)
    assert log.users.tolist() == [0, 1, 1, 1]
    assert log.items.tolist() == [2, 0, 2, 1]
    assert log.order.tolist() == [0, 0, 1, 2]
    assert log.times is not None and log.times.tolist() == [5, 10, 20, 30]
    assert log.offsets.tolist() == [0, 1, 4]


def test_an_import_is_listed_and_loaded_again(tmp_path: Path) -> None:
    """What was imported comes back with the same digest."""
    (tmp_path / "log.csv").write_text(ROWS)
    kept = datasets.import_file("shop", tmp_path / "log.csv", tmp_path / "cache")
    again = datasets.load("shop", tmp_path / "cache")
    assert datasets.available(tmp_path / "cache") == ("shop",)
    assert (again.digest, again.items.tolist()) == (kept.digest, kept.items.tolist())


def test_a_parquet_file_with_an_order_has_no_times(tmp_path: Path) -> None:
    """The shape of published sequence files: user_id, item_id, order."""
    table = polars.DataFrame({"user_id": [1, 1, 2], "item_id": [5, 9, 5], "order": [0, 1, 0]})
    table.write_parquet(tmp_path / "sequences.parquet")
    log = datasets.import_file("beauty", tmp_path / "sequences.parquet", tmp_path)
    assert log.times is None
    assert log.items.tolist() == [0, 1, 0]
    assert datasets.load("beauty", tmp_path).times is None


def test_a_recbole_file_is_read_by_its_typed_header(tmp_path: Path) -> None:
    """`user_id:token` and its like lose their types."""
    (tmp_path / "x.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n1\t2\t9.0\n1\t3\t4.0\n")
    assert datasets.import_file("x", tmp_path / "x.inter", tmp_path).items.tolist() == [1, 0]


def test_dates_are_seconds(tmp_path: Path) -> None:
    """A column of dates in words is understood."""
    (tmp_path / "log.csv").write_text("user,item,date\n1,1,2024-01-02 00:00:00\n1,2,2024-01-01 00:00:00\n")
    log = datasets.import_file("dated", tmp_path / "log.csv", tmp_path)
    assert log.times is not None and np.diff(log.times).tolist() == [86_400]


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    """The options say which column is which."""
    (tmp_path / "log.csv").write_text("who,what,when\n1,1,2\n1,2,1\n")
    log = datasets.import_file("own", tmp_path / "log.csv", tmp_path, user="who", item="what", time="when")
    assert log.items.tolist() == [1, 0]


def test_events_of_one_moment_keep_the_order_of_the_file() -> None:
    """The order of rows decides between equal moments."""
    log = interactions("ties", np.zeros(4, int), np.array([3, 1, 2, 0]), np.array([1, 1, 0, 1]), timed=True)
    assert log.items.tolist() == [2, 3, 1, 0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("user_id,thing,timestamp\n1,2,3\n", "column of items called item_id or item.*found user_id, thing, timestamp"),
        ("user_id,item_id\n1,2\n", "column of times called"),
        ("user_id,item_id,timestamp\n", "one row per event, found none"),
        ("user_id,item_id,timestamp\n1,,3\n", "1 rows have none"),
        ("user_id,item_id,timestamp\n1,2,soon\n", "should hold seconds, dates or a running number"),
        ("", "should be a readable .csv file"),
    ],
)
def test_a_file_with_wrong_columns_is_refused_in_words(tmp_path: Path, text: str, complaint: str) -> None:
    """The message says what was expected and what was found."""
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        datasets.import_file("bad", tmp_path / "log.csv", tmp_path)


def test_the_message_says_how_to_name_a_column(tmp_path: Path) -> None:
    """The hint names the option."""
    (tmp_path / "log.csv").write_text("user_id,thing,timestamp\n1,2,3\n")
    with pytest.raises(DataError) as caught:
        datasets.import_file("bad", tmp_path / "log.csv", tmp_path)
    assert "--item COLUMN" in caught.value.hint


@pytest.mark.parametrize("name", ["log.txt", "missing.csv", "missing.parquet"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    """Another kind of file, or none."""
    with pytest.raises(DataError):
        datasets.import_file("bad", tmp_path / name, tmp_path)


@pytest.mark.parametrize("name", ["../escape", "A b", "", ".hidden", "x/y"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written outside the cache."""
    with pytest.raises(DataError, match="small letters"):
        datasets.import_file(name, tmp_path / "log.csv", tmp_path)


def test_the_name_of_a_published_set_is_taken(tmp_path: Path) -> None:
    """An import can't pass for MovieLens."""
    with pytest.raises(DataError, match="published"):
        datasets.import_file("ml-100k", tmp_path / "log.csv", tmp_path)


def test_a_missing_set_says_how_to_get_it(tmp_path: Path) -> None:
    """One line to type."""
    with pytest.raises(DataError) as caught:
        datasets.load("ml-100k", tmp_path)
    assert caught.value.hint == "evolve data get ml-100k"


def test_an_unknown_set_can_not_be_fetched(tmp_path: Path) -> None:
    """The choices are listed."""
    with pytest.raises(DataError, match="ml-100k was expected, found 'ml-1b'"):
        datasets.fetch("ml-1b", tmp_path)


def test_a_cut_file_is_found_out(tmp_path: Path) -> None:
    """At whatever byte the file ends, loading it is an error of ours and not a crash."""
    (tmp_path / "log.csv").write_text(ROWS)
    datasets.import_file("shop", tmp_path / "log.csv", tmp_path)
    whole = (tmp_path / "shop.npz").read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "shop.npz").write_bytes(whole[:length])
        with pytest.raises(DataError):
            datasets.load("shop", tmp_path)


def test_changed_content_is_found_out(tmp_path: Path) -> None:
    """The digest kept beside the arrays is checked."""
    (tmp_path / "log.csv").write_text(ROWS)
    datasets.import_file("shop", tmp_path / "log.csv", tmp_path)
    with np.load(tmp_path / "shop.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["items"] = arrays["items"][::-1]
    np.savez(tmp_path / "shop.npz", **arrays)
    with pytest.raises(DataError, match="damaged"):
        datasets.load("shop", tmp_path)


def test_an_unwritable_cache_is_an_error_in_words(tmp_path: Path) -> None:
    """A file in the folder's place can't be written into."""
    (tmp_path / "log.csv").write_text(ROWS)
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match="can't be written"):
        datasets.import_file("shop", tmp_path / "log.csv", tmp_path / "cache")


@pytest.mark.parametrize("text", [b"1\t2\t3\t4\n", b"not ratings", b"1\t2\n"])
def test_other_ratings_than_movielens_are_refused(text: bytes) -> None:
    """Rows, columns and the checksum are looked at."""
    with pytest.raises(DataError):
        datasets_movielens.canonical_ratings(text)


def test_a_changed_rating_fails_the_checksum() -> None:
    """A hundred thousand rows of four are not enough."""
    text = b"1\t2\t3\t4\n" * datasets_movielens.RATINGS
    with pytest.raises(DataError, match="should have the sha256"):
        datasets_movielens.canonical_ratings(text)


def test_the_official_archive_is_read_by_its_member(tmp_path: Path) -> None:
    """A zip file without the ratings is named as such."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("ml-100k/README", "no ratings")
    with pytest.raises(DataError, match=r"ml-100k/u\.data"):
        datasets_movielens.ratings_of_archive(archive.getvalue())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=40))
def test_every_event_is_kept_and_sorted(events: list[tuple[int, int, int]]) -> None:
    """Numbering loses nothing, and moments never fall within a user's history."""
    users, items, moments = (np.array(column) for column in zip(*events, strict=True))
    log = interactions("any", users, items, moments, timed=True)
    assert log.times is not None
    known_users, known_items = np.unique(users), np.unique(items)
    back = zip(known_users[log.users], known_items[log.items], log.times, strict=True)
    assert sorted(back) == sorted(events)
    assert all(np.all(np.diff(log.times[a:b]) >= 0) for a, b in zip(log.offsets[:-1], log.offsets[1:], strict=True))


def test_movielens_has_its_published_size() -> None:
    """943 users, 1682 items, 100,000 events (skipped where it was not fetched)."""
    if "ml-100k" not in datasets.available():
        pytest.skip("MovieLens-100K is not in the cache; evolve data get ml-100k")
    log = datasets.load("ml-100k")
    assert (log.user_count, log.item_count, len(log.items)) == (943, 1682, 100_000)
