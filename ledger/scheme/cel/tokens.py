"""An expression cut into tokens, as CEL.g4 of cel-go says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ledger.scheme.cel.syntax import Source

_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_STRING = "|".join(
    (
        r'[rR]"""[\s\S]*?"""',
        r"[rR]'''[\s\S]*?'''",
        r'[rR]"[^"\n\r]*"',
        r"[rR]'[^'\n\r]*'",
        rf'"""(?:{_ESCAPE}|[^\\])*?"""',
        rf"'''(?:{_ESCAPE}|[^\\])*?'''",
        rf'"(?:{_ESCAPE}|[^\\"\n\r])*"',
        rf"'(?:{_ESCAPE}|[^\\'\n\r])*'",
    )
)
_TOKEN = re.compile(
    "|".join(
        (
            r"(?P<SPACE>[\t \r\n\f]+|//[^\n]*)",
            r"(?P<NUM_FLOAT>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)",
            r"(?P<NUM_UINT>0x[0-9a-fA-F]+[uU]|\d+[uU])",
            r"(?P<NUM_INT>0x[0-9a-fA-F]+|\d+)",
            rf"(?P<BYTES>[bB](?:{_STRING}))",
            rf"(?P<STRING>{_STRING})",
            r"(?P<IDENTIFIER>[A-Za-z_][A-Za-z0-9_]*)",
            r"(?P<ESC_IDENTIFIER>`[A-Za-z0-9_.\-/ ]+`)",
            r"(?P<SIGN>==|!=|<=|>=|&&|\|\||[<>\[\]{}().,\-!?:+*/%])",
        )
    )
)
_KEYWORDS = frozenset({"in", "true", "false", "null"})
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_ESCAPED = re.compile(_ESCAPE)
_BEGUN = re.compile(rf"[=&|]|'(?:{_ESCAPE}|[^\\'\n\r])*|\"(?:{_ESCAPE}|[^\\\"\n\r])*")


@dataclass(slots=True)
class Token:
    kind: str  # a sign or keyword is its own kind; EOF ends the list
    text: str
    at: int


def tokens(source: Source) -> list[Token]:
    """The tokens, spaces and comments left out. What is no token is reported and skipped."""
    found, place, text = [], 0, source.text
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            end = _unreadable(text, place)
            shown = text[place:end].replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
            source.report(place, f"Syntax error: token recognition error at: '{shown}'")
            place = end
            continue
        kind, token = match.lastgroup, match.group()
        if kind != "SPACE":
            own = kind == "SIGN" or token in _KEYWORDS
            found.append(Token(token if own else str(kind), token, place))
        place = match.end()
    return [*found, Token("EOF", "<EOF>", len(text))]


def _unreadable(text: str, place: int) -> int:
    """Where the part ends that the lexer gives up on: with the first character that does not continue a token."""
    begun = _BEGUN.match(text, place)
    if begun is None:
        return place + 1
    return min(begun.end() + (2 if text[begun.end() : begun.end() + 1] == "\\" else 1), len(text))


def unquoted(token: str) -> Any:
    """The value of a string or bytes token."""
    as_bytes = token[0] in "bB"
    token = token[1:] if as_bytes else token
    raw = token[0] in "rR"
    token = token[1:] if raw else token
    inside = token[3:-3] if token[:3] in ('"""', "'''") and len(token) >= 6 else token[1:-1]
    if as_bytes:
        return _bytes(inside, raw)
    return inside if raw else _ESCAPED.sub(lambda match: chr(_code(match.group())), inside)


def _bytes(inside: str, raw: bool) -> bytes:
    if raw:
        return inside.encode()
    value, place = b"", 0
    for match in _ESCAPED.finditer(inside):
        escape = match.group()
        value += inside[place : match.start()].encode()
        code = _code(escape)
        value += chr(code).encode() if escape[1] in "uU" else bytes([code])
        place = match.end()
    return value + inside[place:].encode()


def _code(escape: str) -> int:
    letter = escape[1]
    if letter in "xXuU":
        return int(escape[2:], 16)
    if letter.isdigit():
        return int(escape[1:], 8)
    return _LETTERS.get(letter, ord(letter))
