"""The journal: whole, chained, flushed, and honest about damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.errors import JournalError, RunError
from evolve.journal import MEASURED, Journal, join_measured, read, split_measured


class Ticking:
    """A clock that goes on by one second a look."""

    def __init__(self, start: float = 0.0) -> None:
        self.time = start

    def now(self) -> float:
        self.time += 1
        return self.time


values = st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.none())
keys = st.one_of(st.text(min_size=1, max_size=5), st.sampled_from(sorted(MEASURED)))
bodies = st.recursive(
    st.dictionaries(keys, values, max_size=4), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


def written(path: Path, count: int, start: float = 0.0) -> list[str]:
    journal = Journal(path, Ticking(start))
    hashes = [journal.append("judged", {"number": i, "outcome": {"cpu_s": start + i}}).hash for i in range(count)]
    journal.close()
    return hashes


@given(bodies)
def test_splitting_off_what_was_measured_and_joining_it_gives_the_body_back(body):
    assert join_measured(*split_measured(body)) == body


def test_a_journal_reads_back_as_it_was_written(tmp_path):
    written(tmp_path / "j", 3)
    assert [r.body for r in read(tmp_path / "j")] == [{"number": i, "outcome": {"cpu_s": i}} for i in range(3)]


def test_the_hashes_do_not_depend_on_clocks(tmp_path):
    assert written(tmp_path / "a", 3) == written(tmp_path / "b", 3, start=1000.0)


def test_a_journal_cut_at_every_byte_of_its_last_record_loses_only_that_record(tmp_path):
    hashes = written(tmp_path / "whole", 3)
    text = (tmp_path / "whole").read_bytes()
    last = text[:-1].rfind(b"\n") + 1
    for cut in range(last, len(text)):
        (tmp_path / "cut").write_bytes(text[:cut])
        journal = Journal(tmp_path / "cut", Ticking())
        assert len(journal.records) == 2
        assert journal.append("judged", {"number": 2, "outcome": {"cpu_s": 9}}).hash == hashes[2]
        journal.close()
        assert len(list(read(tmp_path / "cut"))) == 3


def test_a_changed_byte_anywhere_is_found_and_its_record_named(tmp_path):
    written(tmp_path / "j", 3)
    lines = (tmp_path / "j").read_text().splitlines()
    for damaged in range(3):
        changed = list(lines)
        changed[damaged] = changed[damaged].replace('"number":' + str(damaged), '"number":7')
        (tmp_path / "d").write_text("\n".join(changed) + "\n")
        with pytest.raises(JournalError) as error:
            list(read(tmp_path / "d"))
        assert error.value.record == damaged


def test_a_line_that_is_no_json_is_named(tmp_path):
    written(tmp_path / "j", 2)
    (tmp_path / "j").write_text("nonsense\n" + (tmp_path / "j").read_text())
    with pytest.raises(JournalError, match="record 0 "):
        list(read(tmp_path / "j"))


def test_a_removed_record_is_found(tmp_path):
    written(tmp_path / "j", 3)
    lines = (tmp_path / "j").read_text().splitlines()
    (tmp_path / "j").write_text(f"{lines[0]}\n{lines[2]}\n")
    with pytest.raises(JournalError, match="record 1 "):
        list(read(tmp_path / "j"))


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path):
    written(tmp_path / "j", 1)
    line = json.loads((tmp_path / "j").read_text())
    (tmp_path / "j").write_text(json.dumps({**line, "schema": 99}) + "\n")
    with pytest.raises(RunError, match="schema 99") as error:
        list(read(tmp_path / "j"))
    assert "newer" in error.value.hint


def test_not_a_number_never_enters_the_journal(tmp_path):
    with pytest.raises(ValueError):
        Journal(tmp_path / "j", Ticking()).append("floor", {"score": float("nan")})
