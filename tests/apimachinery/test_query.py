from __future__ import annotations

import pytest

from ledger.apimachinery.query import first_of, pairs_of


@pytest.mark.parametrize("query, pairs", [
    ("",                      []),
    ("a=1&b=2&a=3",           [("a", "1"), ("b", "2"), ("a", "3")]),
    ("a&b=&=c&&d=e=f",        [("a", ""), ("b", ""), ("", "c"), ("d", "e=f")]),
    ("a=%20+%2B&%61=%C3%A9",  [("a", "  +"), ("a", "é")]),
    ("a=%zz&b=1",             [("b", "1")]),
    ("%zz=a&b=%4&c=%",        []),
    ("limit=1;x=2&b=3",       [("b", "3")]),
    ("a=%3B",                 [("a", ";")]),
    ("a=1" + "&" * 10_000,    []),
    ("a=1" + "&" * 9_999,     [("a", "1")]),
])  # fmt: skip
def test_a_query_is_read_as_go_reads_it(query: str, pairs: list[tuple[str, str]]) -> None:
    assert pairs_of(query) == pairs


def test_the_first_value_counts() -> None:
    assert first_of("a=1&a=2", "a") == "1"
    assert first_of("a=%zz&a=2", "a") == "2"
    assert (first_of("b=1", "a"), first_of("b=1", "a", "none")) == ("", "none")
