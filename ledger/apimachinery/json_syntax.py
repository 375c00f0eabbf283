"""Why bytes are no JSON, in the words of Go's encoding/json, which clients see: "invalid character 'x' after ...".

Python's parser finds the place; what Go would have said of that place follows from it.
"""

from __future__ import annotations

import json
import re

from ledger.apimachinery.field import quoted
from ledger.apimachinery.json_codec import text_of

END = "unexpected end of JSON input"
_SPACE = " \t\r\n"
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_WORD = {"t": "true", "f": "false", "n": "null"}
_NUMBER_BEFORE = re.compile(r"[0-9](\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)?$")
_END_IN_ESCAPE = "invalid character ' ' in string escape code"
_HEX = "0123456789abcdefABCDEF"


def syntax_error(data: bytes) -> str:
    """Go's text for bytes that are no JSON; empty when they are."""
    text = text_of(data)
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return _explain(text, error.pos, error.msg)
    except RecursionError:
        return "exceeded max depth"
    except _Constant as found:
        at = text.find(found.name)
        return _value(text, at)
    return ""


def _explain(text: str, at: int, message: str) -> str:
    """`message` is json.JSONDecodeError's for position `at`."""
    if message.startswith("Unterminated string"):
        return _END_IN_ESCAPE if _open_escape(text) else END
    if message.startswith("Invalid control character"):
        return _character(text, at, "in string literal")
    if message.startswith("Invalid \\escape"):
        return _character(text, at + 1, "in string escape code", inside=True)
    if message.startswith("Invalid \\u"):
        return _escape(text, at)
    if message.startswith("Extra data"):
        return _after_value(text, at, "after top-level value")
    if message.startswith(("Expecting property name", "Illegal trailing comma before end of object")):
        return _character(text, _after_comma(text, at, message), "looking for beginning of object key string")
    if message.startswith("Expecting ':'"):
        return _character(text, at, "after object key")
    if message.startswith("Expecting ','"):
        inside_list = _innermost(text, at) == "["
        return _after_value(text, at, "after array element" if inside_list else "after object key:value pair")
    return _value(text, _after_comma(text, at, message))


def _after_comma(text: str, at: int, message: str) -> int:
    """Newer Pythons point at a trailing comma itself, Go at what follows it."""
    return _skip(text, at + message.startswith("Illegal trailing comma"))


def _open_escape(text: str) -> bool:
    """Whether the text ends behind a backslash that begins an escape."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _value(text: str, at: int) -> str:
    """At `at` a value should begin."""
    start = text[at : at + 1]
    if start in _WORD and start:
        return _word(text, at, _WORD[start])
    if start == "-":
        return _character(text, at + 1, "in numeric literal", inside=True)
    return _character(text, at, "looking for beginning of value")


def _word(text: str, at: int, word: str) -> str:
    for offset, expected in enumerate(word):
        if text[at + offset : at + offset + 1] != expected:
            return _character(text, at + offset, f"in literal {word} (expecting '{expected}')", inside=True)
    return END


def _after_value(text: str, at: int, context: str) -> str:
    """Something follows a value. Python ends a number before "." and "e" that lack digits; Go reads on."""
    here = text[at : at + 1]
    number = _NUMBER_BEFORE.search(text, max(0, at - 400), at)
    if number and here == "." and not number[1]:
        return _character(text, at + 1, "after decimal point in numeric literal", inside=True)
    if number and here and here in "eE" and "e" not in (number[1] or "").lower():
        following = at + 1 + (text[at + 1 : at + 2] in ("+", "-"))
        return _character(text, following, "in exponent of numeric literal", inside=True)
    return _character(text, at, context)


def _escape(text: str, at: int) -> str:
    """`at` is near a \\u escape that lacks hexadecimal digits."""
    start = text.find("\\u", max(0, at - 2))
    end = start + 2
    while end < len(text) and text[end] in _HEX:
        end += 1
    return _character(text, end, "in \\u hexadecimal character escape", inside=True)


def _innermost(text: str, at: int) -> str:
    """The bracket that is open at `at`."""
    stack = []
    for found in _STRUCTURE.finditer(text, 0, at):
        mark = found[0]
        if mark in "[{":
            stack.append(mark)
        elif mark in "]}" and stack:
            stack.pop()
    return stack[-1] if stack else ""


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _character(text: str, at: int, context: str, inside: bool = False) -> str:
    """`inside` a word, number or escape Go ends the input with a space, and complains of that."""
    if at >= len(text) and not inside:
        return END
    shown = chr(text[at].encode("utf-8", "surrogatepass")[0]) if at < len(text) else " "  # Go looks at one byte
    if shown == "'":
        shown = "\\'"
    elif shown != '"':
        shown = quoted(shown)[1:-1]
    return f"invalid character '{shown}' {context}"


class _Constant(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


def _refuse(name: str) -> None:
    raise _Constant(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str)
