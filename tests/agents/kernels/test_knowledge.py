"""The knowledge cards, and how a diagnosis finds them in two stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.kernels.knowledge import MOVES, Bound, advice, choose, fetch, read_index
from evolve.errors import UsageError

FOLDER = Path(__file__).resolve().parents[3] / "kernels" / "knowledge"


def test_there_are_at_least_twenty_cards_of_each_kind_and_move_and_all_have_sources():
    entries = read_index(FOLDER)
    assert len(entries) >= 20
    assert {entry.kind for entry in entries} == {"constraint", "guidance", "hardware"}
    assert {move for entry in entries for move in entry.moves} == set(MOVES)
    for entry in entries:
        card = fetch(FOLDER, entry)
        assert len(card.source) > 15, entry.name
        assert entry.title in card.text, entry.name


def test_index_and_files_agree():
    assert {entry.name for entry in read_index(FOLDER)} == {path.stem for path in FOLDER.glob("*.md")}


def test_the_first_stage_keeps_cards_of_the_diagnosis_and_puts_the_words_first():
    chosen = choose(read_index(FOLDER), Bound.MEMORY, "prefetch rows of a gather", 6)
    assert len(chosen) == 6
    assert all(Bound.MEMORY in entry.bounds for entry in chosen)
    assert "prefetch_gathers" in [entry.name for entry in chosen[:2]]


def test_words_that_no_card_has_still_find_the_cards_of_the_diagnosis():
    chosen = choose(read_index(FOLDER), Bound.LATENCY, "zzz", 4)
    assert [entry.bounds for entry in chosen[:2]] == [(Bound.LATENCY,)] * 2


@pytest.mark.parametrize("bound", list(Bound))
def test_each_diagnosis_speaks_for_several_kinds_of_change(bound):
    cards = [fetch(FOLDER, entry) for entry in choose(read_index(FOLDER), bound, "", 8)]
    assert len(advice(cards)) >= 3


def test_a_card_of_an_unknown_move_is_a_clear_error(tmp_path):
    row = '[[card]]\nname = "a"\nkind = "guidance"\ntitle = "t"\nbounds = ["memory"]\nmoves = ["magic"]\nabout = ""\n'
    (tmp_path / "index.toml").write_text(row)
    with pytest.raises(UsageError, match="magic"):
        read_index(tmp_path)


def test_a_card_without_a_source_is_a_clear_error(tmp_path):
    entry = read_index(FOLDER)[0]
    (tmp_path / f"{entry.name}.md").write_text(f'+++\nname = "{entry.name}"\n+++\ntext\n')
    with pytest.raises(UsageError, match="source"):
        fetch(tmp_path, entry)
