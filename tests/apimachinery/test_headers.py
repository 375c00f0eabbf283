from __future__ import annotations

import pytest

from ledger.apimachinery.http import Headers

GIVEN = Headers([("host", "a"), ("accept", "x"), ("accept", "y"), ("x-remote-user", "bob")])


@pytest.mark.parametrize("name, first, values", [("accept", "x", ["x", "y"]), ("host", "a", ["a"]), ("cookie", "", [])])
def test_a_name_may_recur_and_the_first_value_counts(name: str, first: str, values: list[str]) -> None:
    assert (GIVEN.get(name), GIVEN.get_all(name), name in GIVEN) == (first, values, bool(values))


def test_fields_are_left_out_of_a_copy() -> None:
    left = GIVEN.without(lambda name: name == "accept")
    assert list(left) == [("host", "a"), ("x-remote-user", "bob")] and left.get("accept") == ""
    assert GIVEN.get("accept") == "x"
    assert GIVEN.without("cookie".__eq__) is GIVEN


def test_what_is_made_of_fields_is_made_once_and_of_these_fields_alone() -> None:
    asked: list[Headers] = []

    def host(headers: Headers) -> str:
        asked.append(headers)
        return headers.get("host")

    given, other = Headers([("host", "a")]), Headers([("host", "b")])
    assert [each.known(host) for each in (given, given, other, given)] == ["a", "a", "b", "a"]
    assert asked == [given, other]


def test_what_cannot_be_made_is_tried_again() -> None:
    def refuse(headers: Headers) -> None:
        raise ValueError(headers.get("host"))

    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            GIVEN.known(refuse)
