"""JSON bytes to objects and back: orjson, plus what orjson does not keep.

`loads` is for bytes we trust and for the fast path. `loads_exact` keeps numbers that orjson would print differently
(1.10, 1e2, numbers beyond 64 bits) as `Literal`, and takes what Go takes and orjson refuses: lone surrogates and broken
UTF-8, both read as U+FFFD. `dumps` prints as Go's encoding/json does, literals as they were written.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

BUFFER_BYTES = 32 * 1024  # above that, what a buffer has too much no longer counts


class Literal(float):
    """A number with the text it was written as."""

    text: str

    def __new__(cls, text: str) -> Literal:
        one = super().__new__(cls, text)
        one.text = text
        return one

    def __deepcopy__(self, memo: object) -> Literal:
        return self

    def __reduce__(self) -> tuple[type[Literal], tuple[str]]:
        return Literal, (self.text,)


def loads(data: bytes) -> Any:
    """The value; raises ValueError (json.JSONDecodeError) for what orjson refuses."""
    return orjson.loads(data)


def loads_exact(data: bytes) -> Any:
    """The value with every number as written; the last of duplicate keys wins. Raises ValueError."""
    return without_surrogates(_EXACT.decode(text_of(data)))


def dumps(value: Any) -> bytes:
    """Compact JSON with keys in the order they have, escaped as Go escapes; no line end."""
    return escaped(exact(plain(value)))


def plain(value: Any) -> bytes:
    """Like `dumps`, but nothing is escaped that JSON itself lets be."""
    return orjson.dumps(value, default=_fragment)


def dumps_sorted(value: Any) -> bytes:
    """Like `dumps`, keys sorted: how Go prints maps and custom resources."""
    return escaped(exact(orjson.dumps(value, default=_fragment, option=orjson.OPT_SORT_KEYS)))


def dumps_pretty(value: Any) -> bytes:
    """Indented by two, as `?pretty=true` and curl get it; no line end."""
    return escaped(orjson.dumps(value, default=_fragment, option=orjson.OPT_INDENT_2))


def exact(data: bytes) -> bytes:
    """The same bytes in memory of their own size, for what is kept: orjson leaves its own in a buffer of 16 KiB or more."""
    return bytes(memoryview(data)) if len(data) < BUFFER_BYTES else data


def escaped(data: bytes) -> bytes:
    """JSON bytes with the characters escaped that Go's encoder escapes: < > & and two line separators."""
    # Looked for as numbers: bytes `in` bytes first fails to take them for one, which costs more than the search.
    if _LESS in data:
        data = data.replace(b"<", b"\\u003c")
    if _GREATER in data:
        data = data.replace(b">", b"\\u003e")
    if _AMPERSAND in data:
        data = data.replace(b"&", b"\\u0026")
    if _SEPARATOR_BEGINS in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return data


_LESS, _GREATER, _AMPERSAND, _SEPARATOR_BEGINS = b"<>&\xe2"


def text_of(data: bytes) -> str:
    """Bytes as Go reads text: each byte that is no UTF-8 becomes U+FFFD."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape").translate(_BROKEN_BYTES)


def without_surrogates(value: Any) -> Any:
    """The value with lone surrogates in its text replaced by U+FFFD, as Go reads them."""
    if isinstance(value, str):
        return value if value.isascii() or not _has_surrogate(value) else value.translate(_SURROGATES)
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_surrogates(one) for one in value]
    return value


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def number(text: str) -> int | float:
    """A JSON number; a `Literal` where its Python value would be printed differently."""
    try:
        value = int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:  # too many digits for int
        return Literal(text)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return Literal(text)
    return value if orjson.dumps(value) == text.encode() else Literal(text)


def _fragment(value: Any) -> orjson.Fragment:
    if isinstance(value, Literal):
        return orjson.Fragment(value.text)
    raise TypeError(f"no JSON form: {type(value).__name__}")


_BROKEN_BYTES = dict.fromkeys(range(0xDC80, 0xDD00), "�")
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "�")


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_EXACT = json.JSONDecoder(parse_int=number, parse_float=number, parse_constant=_refuse)
