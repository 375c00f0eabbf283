"""Quantities print as kube-apiserver prints them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.apimachinery import quantity
from ledger.apimachinery.quantity import Quantity, QuantityError


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("1", "1"),
        ("0", "0"),
        ("00", "0"),
        ("0Gi", "0"),
        ("1.5", "1500m"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("1000m", "1"),
        ("1000", "1k"),
        ("1024", "1024"),
        ("1024Ki", "1Mi"),
        ("1025Ki", "1025Ki"),
        ("1.5Gi", "1536Mi"),
        ("0.001Ki", "1024m"),
        ("1.1Ki", "1126400m"),
        ("1e3", "1e3"),
        ("120e5", "12e6"),
        ("1.2e7", "1.2e7"),
        ("1e19", "10e18"),
        ("1.500", "1.500"),  # kept as written where upstream's fast path takes it as canonical
        ("+1", "+1"),
        ("0.1n", "1n"),
        ("1e-100", "1e-9"),
        ("-5", "-5"),
        ("8Ei", "9223372036854775807"),  # capped
        ("12345678901234567890", "12345678901234567890"),
        ("1000E", "1"),  # upstream has no suffix beyond E and prints none
    ],
)
def test_canonical_text(written: str, printed: str) -> None:
    assert quantity.canonical(written) == printed


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", quantity.FORMAT_WRONG),
        ("x", quantity.FORMAT_WRONG),
        (" 1", quantity.FORMAT_WRONG),
        ("1KiB", quantity.FORMAT_WRONG),
        ("1e", quantity.SUFFIX_WRONG),
        ("1mm", quantity.SUFFIX_WRONG),
    ],
)
def test_what_is_no_quantity(written: str, why: str) -> None:
    with pytest.raises(QuantityError, match=r".") as refused:
        quantity.parse(written)
    assert str(refused.value) == why


def test_comparison_ignores_how_an_amount_was_written() -> None:
    assert quantity.parse("1Gi") == quantity.parse("1073741824") != quantity.parse("1G")
    assert quantity.parse("999m") < quantity.parse("1") < quantity.parse("1001m")
    assert quantity.parse("1e1000000000") > quantity.parse("9Ei")
    assert hash(quantity.parse("1000")) == hash(quantity.parse("1k"))


def test_a_sum_has_the_format_of_the_first_amount_that_is_not_zero() -> None:
    assert str(quantity.parse("1Gi") + quantity.parse("1Mi")) == "1025Mi"
    assert str(Quantity() + quantity.parse("1Mi")) == "1Mi"
    assert str(quantity.parse("2") - quantity.parse("500m")) == "1500m"
    assert str(quantity.parse("250m") * 4) == "1"


def test_values_are_rounded_away_from_zero() -> None:
    assert quantity.parse("1001m").value() == 2
    assert quantity.parse("-1001m").value() == -2
    assert quantity.parse("1.5").value(-3) == 1500
    assert quantity.canonical_milli("1u") == "1m"


@given(st.integers(-(10**17), 10**17), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "e3", "E2"]))
def test_canonical_text_is_stable_and_keeps_the_amount(number: int, suffix: str) -> None:
    amount = quantity.parse(f"{number}{suffix}")
    again = quantity.parse(str(amount))
    assert str(again) == str(amount)
    if abs(amount.value()) < 2**63:
        assert again == amount
