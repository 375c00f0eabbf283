"""JSON as Go reads and prints it, and what Go says of what is none."""

from __future__ import annotations

import tracemalloc

import pytest

from ledger.apimachinery import json_codec
from ledger.apimachinery.json_syntax import syntax_error


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "unexpected end of JSON input"),
        ("{nope", "invalid character 'n' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("{,}", "invalid character ',' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":}', "invalid character '}' looking for beginning of value"),
        ('{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{} {}", "invalid character '{' after top-level value"),
        ("nope", "invalid character 'o' in literal null (expecting 'u')"),
        ("tru", "invalid character ' ' in literal true (expecting 'e')"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ('{"a":-Infinity}', "invalid character 'I' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e", "invalid character ' ' in exponent of numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ('{"a":1.5.3}', "invalid character '.' after object key:value pair"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12G"', "invalid character 'G' in \\u hexadecimal character escape"),
        ('"a\x01"', "invalid character '\\x01' in string literal"),
        ('{"a":"b', "unexpected end of JSON input"),
        ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ('{"a":[1,{"b":2}]}', ""),
    ],
)
def test_syntax_errors_are_worded_as_go_words_them(text: str, why: str) -> None:
    assert syntax_error(text.encode()) == why


def test_deep_input_is_an_error_and_no_crash() -> None:
    assert syntax_error(b"[" * 1_000_000) == "exceeded max depth"


def test_numbers_are_kept_as_they_were_written() -> None:
    text = b'{"a":1.10,"b":1e2,"c":123456789012345678901234567890,"d":1.0,"e":7}'
    assert json_codec.dumps(json_codec.loads_exact(text)) == text


def test_broken_text_is_read_as_replacement_characters() -> None:
    assert json_codec.loads_exact(b'["\\ud800", "\xff\xfe", "\\ud83d\\ude00"]') == [
        "\ufffd",
        "\ufffd\ufffd",
        "\U0001f600",
    ]


def test_output_is_escaped_for_html_as_go_does() -> None:
    assert json_codec.dumps({"a": "<b>&\u2028"}) == b'{"a":"\\u003cb\\u003e\\u0026\\u2028"}'


def test_what_is_kept_takes_the_room_it_needs() -> None:
    value = {"data": "x" * 2000}
    tracemalloc.start()
    try:
        kept = [json_codec.dumps(value) for _ in range(100)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1.5 * sum(map(len, kept))
