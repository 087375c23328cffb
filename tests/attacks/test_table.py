"""The page of attacks says what the committed result says, of every attack of the corpus."""

from __future__ import annotations

import json

from scripts.attack_table import FAMILIES, PAGE, RESULT, page
from tests.attacks.corpus import ATTACKS


def test_the_page_of_attacks_is_that_of_the_committed_result():
    assert PAGE.read_text() == page(json.loads(RESULT.read_text())), "python -m scripts.attack_table"


def test_every_attack_is_in_a_family_of_the_page():
    assert [attack.name for family in FAMILIES.values() for attack in family] == [attack.name for attack in ATTACKS]
