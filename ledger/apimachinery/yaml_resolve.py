"""What a plain YAML 1.1 scalar means to go-yaml v2, which Kubernetes reads and prints YAML with.

`y`, `on` and `no` are booleans, `010` is eight, `0b11` three, `1_000` a thousand; dates stay text, and there are no
base-60 numbers.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ledger.apimachinery.remember import remembered

NULL, BOOL, INT, FLOAT, STR, TIMESTAMP = "null", "bool", "int", "float", "str", "timestamp"


class Resolved(NamedTuple):
    tag: str
    value: Any


_WORDS: dict[str, Resolved] = {
    **{
        word: Resolved(BOOL, True) for word in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"]
    },
    **{
        word: Resolved(BOOL, False)
        for word in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"]
    },
    **{word: Resolved(NULL, None) for word in ("", "~", "null", "Null", "NULL")},
    **{word: Resolved(FLOAT, float("nan")) for word in (".nan", ".NaN", ".NAN")},
    **{word: Resolved(FLOAT, float("inf")) for word in (".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF")},
    **{word: Resolved(FLOAT, float("-inf")) for word in ("-.inf", "-.Inf", "-.INF")},
}
_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_DASHED_BINARY = re.compile(r"-0b[01]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DOT_FLOAT = re.compile(r"\.[0-9]+(?:[eE][-+]?[0-9]+)?")
# time.Parse with go-yaml's four layouts: 2006-1-2T15:4:5.999999999Z07:00, the same with t, "2006-1-2 15:4:5.9", 2006-1-2.
_DATE = r"[0-9]{4}-(?:0?[1-9]|1[0-2])-(?:0?[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](?:[.,][0-9]+)?"
_TIMESTAMP = re.compile(rf"{_DATE}(?:[Tt]{_CLOCK}(?:Z|[-+][0-9]{{2}}:[0-9]{{2}})| {_CLOCK})?")
_BASE60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")


@remembered(4096)
def resolve(text: str) -> Resolved:
    """The tag and value of a plain scalar. Integers beyond 64 bits become floats, as in Go."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return Resolved(FLOAT, float(text)) if _DOT_FLOAT.fullmatch(text) else Resolved(STR, text)
    if not (first in "+-" or "0" <= first <= "9"):
        return Resolved(STR, text)
    if _TIMESTAMP.fullmatch(text) and _is_date(text):
        return Resolved(TIMESTAMP, text)
    plain = text.replace("_", "")
    number = _integer(plain)
    if number is not None:
        return Resolved(INT, number)
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return Resolved(FLOAT, value) if value not in (float("inf"), float("-inf")) else Resolved(STR, text)
    return Resolved(STR, text)


def is_base60(text: str) -> bool:
    """Text that YAML 1.1 would take as a base-60 number: printed in quotes for other readers' sake."""
    return bool(text) and (text[0] in "+-" or text[0].isdigit()) and ":" in text and bool(_BASE60.fullmatch(text))


def float_text(value: float, shortest: str = "") -> str:
    """strconv.FormatFloat(value, 'g', -1, 64); `shortest` where the digits are known to be fewer."""
    digits, _, exponent = (shortest or repr(value)).partition("e")
    digits = digits.removesuffix(".0")
    mantissa = digits.lstrip("-").replace(".", "")
    point = digits.lstrip("-").find(".") if "." in digits else len(mantissa)
    leading = len(mantissa) - len(mantissa.lstrip("0"))
    power = point - leading - 1 + int(exponent or 0)
    significant = mantissa.strip("0")
    sign = "-" if value < 0 else ""
    if not significant:
        return f"{sign}0"
    if -4 <= power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{significant}"
    if 0 <= power < 6:
        whole = significant.ljust(power + 1, "0")
        return f"{sign}{whole[: power + 1]}{'.' + whole[power + 1 :] if len(whole) > power + 1 else ''}"
    fraction = f".{significant[1:]}" if len(significant) > 1 else ""
    return f"{sign}{significant[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _integer(plain: str) -> int | None:
    """strconv.ParseInt and ParseUint with base 0; None beyond 64 bits."""
    if not _INT.fullmatch(plain):
        return None
    digits = plain.lstrip("+-")
    if digits[:2] in ("0x", "0X"):
        value = int(digits, 16)
    elif digits[:2] in ("0b", "0B"):
        value = int(digits, 2)
    elif digits[0] == "0" and len(digits) > 1:
        value = int(digits.lstrip("0oO") or "0", 8)
    else:
        value = int(digits) if len(digits) < 40 else 2**64
    if plain[0] == "-":
        return -value if value <= 2**63 else None
    return value if value < (2**63 if plain[0] == "+" else 2**64) else None


def _is_date(text: str) -> bool:
    year, month, day = (int(part) for part in re.split(r"[Tt ]", text)[0].split("-"))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= (0, 31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month]
