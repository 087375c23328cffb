"""Equal programs have one fingerprint."""

from __future__ import annotations

from evolve.fingerprint import fingerprint


def test_layout_comments_and_docstrings_do_not_count():
    plain = {"a.py": "def f(x):\n    return x + 1\n"}
    dressed = {"a.py": '"""Module."""\n\n# why\ndef f( x ):\n    """Adds."""\n    return (x + 1)\n'}
    assert fingerprint(plain) == fingerprint(dressed)


def test_a_changed_number_counts():
    assert fingerprint({"a.py": "x = 1"}) != fingerprint({"a.py": "x = 2"})


def test_a_file_that_does_not_parse_counts_byte_by_byte():
    assert fingerprint({"a.py": "x = ("}) != fingerprint({"a.py": "x = (("})


def test_where_a_text_stands_counts():
    assert fingerprint({"a.py": "x = 1", "b.py": ""}) != fingerprint({"a.py": "", "b.py": "x = 1"})
