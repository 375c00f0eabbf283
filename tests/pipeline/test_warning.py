"""What becomes a Warning header, and what is cut."""

from __future__ import annotations

from ledger.pipeline.warning import warning_headers


def texts(*warnings: str) -> list[str]:
    return [value.removeprefix('299 - "').removesuffix('"') for _, value in warning_headers(warnings)]


def test_each_text_is_sent_once_and_escaped() -> None:
    assert warning_headers(["b", "a", "b", "", '"x" \\ y']) == [
        ("warning", '299 - "b"'),
        ("warning", '299 - "a"'),
        ("warning", r'299 - "\"x\" \\ y"'),
    ]


def test_what_a_header_cannot_carry_is_left_out() -> None:
    assert texts("two\nlines", "one", "\x00", "\x7f") == ["one"]


def test_up_to_4096_characters_nothing_is_cut() -> None:
    long = ["a" * 2048, "b" * 2048]
    assert texts(*long) == long


def test_beyond_that_each_text_keeps_256_until_4096_are_sent() -> None:
    many = [f"{number:04d}" + "x" * 500 for number in range(100)]
    assert texts(*many) == [text[:256] for text in many[:16]]
