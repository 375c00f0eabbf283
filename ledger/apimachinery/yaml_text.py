"""JSON values as YAML text, as sigs.k8s.io/yaml prints them (go-yaml v2's emitter).

Block style throughout, lists not indented below their key, keys in go-yaml's natural order ("a2" before "a10"), text
with line ends as literal blocks, long plain text folded after column 80, quotes where the text would be read back as
something else.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from ledger.apimachinery.remember import remembered
from ledger.apimachinery.yaml_resolve import STR, float_text, is_base60, resolve

_WIDTH = 80
_SIMPLE_KEY_BYTES_MAX = 128
_PLAIN, _SINGLE, _DOUBLE, _LITERAL = range(4)

_SPECIAL = re.compile("[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")  # go-yaml's is_printable, negated
_BREAKS = "\r\n\x85\u2028\u2029"
_LINE_SEPARATORS = frozenset("\u2028\u2029")
_SPACE_THEN_BREAK = re.compile(f" [{_BREAKS}]")
_BREAK_THEN_SPACE = re.compile(f"[{_BREAKS}] ")
_BLOCK_INDICATOR = re.compile(rf"""[\#,\[\]{{}}&*!|>'"%@`] | ---|\.\.\. | [?:-](?:[ \t{_BREAKS}]|$)""", re.VERBOSE)
_INNER_INDICATOR = re.compile(rf":(?:[ \t]|$)|[ \t\0{_BREAKS}]\#")
_ESCAPES = {
    0: "0", 7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 27: "e", 34: '"', 92: "\\",
    0x85: "N", 0xA0: "_", 0x2028: "L", 0x2029: "P",
}  # fmt: skip


def dumps(value: Any) -> bytes:
    """The value as one YAML document, with its final line end."""
    writer = _Writer()
    writer.root(value)
    return "".join(writer.parts).encode("utf-8", "replace")


class _Writer:
    """Collects text; `fresh` says that a line has just been begun."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.fresh = True

    def root(self, value: Any) -> None:
        if value and type(value) is dict:
            self.map(value, 0, True)
        elif value and type(value) is list:
            self.list(value, 0, True)
        else:
            self.put(_scalar(value, 0, 2))
        if not self.fresh:
            self.parts.append("\n")

    def put(self, text: str) -> None:
        self.parts.append(text)
        self.fresh = text.endswith("\n")

    def line(self, indent: int) -> None:
        self.parts.append(" " * indent if self.fresh else "\n" + " " * indent)
        self.fresh = False

    def map(self, value: dict[str, Any], indent: int, inline: bool) -> None:
        """`inline`: the first key goes where we are."""
        for key in _sorted_keys(tuple(value)):
            if inline:
                inline = False
            else:
                self.line(indent)
            self.entry(key, value[key], indent)

    def entry(self, key: str, value: Any, indent: int) -> None:
        simple = _simple_key(key)
        if simple is None:  # "? key", newline, ": value"
            self.put("? " + _scalar(key, indent + 2, indent + 2))
            self.line(indent)
            self.put(":")
        else:
            self.parts.append(simple)
            self.fresh = False
        if value and type(value) is dict:
            if simple is None:
                self.parts.append(" ")
            self.map(value, indent + 2, simple is None)
        elif value and type(value) is list:
            if simple is None:
                self.parts.append(" ")
                self.list(value, indent + 2, True)
            else:
                self.list(value, indent, False)
        else:
            column = indent + (len(simple) if simple is not None else 1) + 1
            self.put(" " + _scalar(value, column, indent + 2))

    def list(self, values: list[Any], indent: int, inline: bool) -> None:
        for value in values:
            if inline:
                inline = False
            else:
                self.line(indent)
            self.parts.append("- ")
            self.fresh = False
            if value and type(value) is dict:
                self.map(value, indent + 2, True)
            elif value and type(value) is list:
                self.list(value, indent + 2, True)
            else:
                self.put(_scalar(value, indent + 2, indent + 2))


def _scalar(value: Any, column: int, indent: int) -> str:
    """A value that is no collection, or an empty one; continued lines are indented by `indent`."""
    if isinstance(value, str):
        style, text = _styled(value)
        if style == _LITERAL:
            return _literal(value, indent)
        if style == _DOUBLE:
            return _double(value, column, indent)
        if style == _SINGLE and not _LINE_SEPARATORS.isdisjoint(text):
            return re.sub("([\u2028\u2029])(?=.)", "\\1" + " " * indent, text, flags=re.DOTALL)
        return text if column + len(text) <= _WIDTH or " " not in text else _folded(text, style, column, indent)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, (dict, list)):
        return "{}" if isinstance(value, dict) else "[]"
    return str(value)


@remembered(8192)
def _simple_key(key: str) -> str | None:
    """The key with its colon; None for keys that need the long form."""
    if len(key.encode("utf-8", "replace")) > _SIMPLE_KEY_BYTES_MAX or any(one in key for one in _BREAKS):
        return None
    style, text = _styled(key)
    if not key:
        text = '""'
    return f"{_double(key, -1, 0) if style == _DOUBLE and key else text}:"


@remembered(8192)
def _styled(text: str) -> tuple[int, str]:
    """(style, the text in that style before folding); the styles with line ends are written elsewhere."""
    special = bool(_SPECIAL.search(text)) or bool(_SPACE_THEN_BREAK.search(text))
    if "\n" in text:
        return (_DOUBLE if special or text.endswith(" ") else _LITERAL), text
    if not text or resolve(text).tag != STR or is_base60(text):
        return _DOUBLE, text
    if special or _BREAK_THEN_SPACE.search(text):
        return _DOUBLE, text
    edge = text[0] == " " or text[-1] == " "
    if edge or any(one in text for one in _BREAKS) or _BLOCK_INDICATOR.match(text) or _INNER_INDICATOR.search(text):
        return _SINGLE, "'" + text.replace("'", "''") + "'"
    return _PLAIN, text


def _folded(text: str, style: int, column: int, indent: int) -> str:
    """Plain or single-quoted text, broken at single spaces beyond the width."""
    quotes = style == _SINGLE
    first, last = (1, len(text) - 2) if quotes else (0, len(text) - 1)
    out, begun, line_start = [], 0, -column
    at = text.find(" ")
    while at != -1:
        wide = at - line_start > _WIDTH
        inside = first < at < last if quotes else True
        if wide and inside and text[at - 1] != " " and text[at + 1 : at + 2] != " ":
            out.append(text[begun:at])
            begun = at + 1
            line_start = begun - indent
        at = text.find(" ", at + 1)
    out.append(text[begun:])
    return ("\n" + " " * indent).join(out)


def _literal(text: str, indent: int) -> str:
    hint = "2" if text[0] in " " + _BREAKS else ""
    if text[-1] not in _BREAKS:
        hint += "-"
    elif len(text) == 1 or text[-2] in _BREAKS:
        hint += "+"
    spaces = " " * indent
    lines = [spaces + line if line else "" for line in text.split("\n")]
    return f"|{hint}\n" + "\n".join(lines)


def _double(text: str, column: int, indent: int) -> str:
    """Double quotes; a negative column means that lines must not be broken."""
    out = ['"']
    at_column, after_space = column + 1, False
    for index, one in enumerate(text):
        if one == " ":
            if column >= 0 and not after_space and at_column > _WIDTH and 0 < index < len(text) - 1:
                out.append("\n" + " " * indent)
                at_column = indent
                if text[index + 1] == " ":
                    out.append("\\")
                    at_column += 1
            else:
                out.append(one)
                at_column += 1
            after_space = True
            continue
        shown = _escape(one) if one in '"\\' or one in _BREAKS or _SPECIAL.match(one) else one
        out.append(shown)
        at_column += len(shown)
        after_space = False
    return "".join(out) + '"'


def _escape(one: str) -> str:
    code = ord(one)
    if code in _ESCAPES:
        return "\\" + _ESCAPES[code]
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


# --- order of keys ---------------------------------------------------------------------------------------------------
@functools.lru_cache(8192)
def _sorted_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    if all(key.isascii() and key.isalpha() for key in keys):
        return tuple(sorted(keys))
    return tuple(sorted(keys, key=functools.cmp_to_key(_compare)))


def _compare(a: str, b: str) -> int:
    """go-yaml's order: letters after other characters, runs of digits by value."""
    for at in range(min(len(a), len(b))):
        if a[at] == b[at]:
            continue
        a_letter, b_letter = a[at].isalpha(), b[at].isalpha()
        if a_letter and b_letter:
            return -1 if a[at] < b[at] else 1
        if a_letter or b_letter:
            return -1 if b_letter else 1
        return -1 if _digits_before(a, b, at) else 1
    return len(a) - len(b)


def _digits_before(a: str, b: str, at: int) -> bool:
    number_a = number_b = 0
    if a[at] == "0" or b[at] == "0":
        back = at - 1
        while back >= 0 and a[back].isdecimal():
            if a[back] != "0":
                number_a = number_b = 1
                break
            back -= 1
    end_a = end_b = at
    while end_a < len(a) and a[end_a].isdecimal():
        number_a = number_a * 10 + ord(a[end_a]) - 48
        end_a += 1
    while end_b < len(b) and b[end_b].isdecimal():
        number_b = number_b * 10 + ord(b[end_b]) - 48
        end_b += 1
    if number_a != number_b:
        return number_a < number_b
    return end_a < end_b if end_a != end_b else a[at] < b[at]
