"""Regular expressions in Go's syntax (RE2), compiled for Python, and Go's words where they do not compile."""

from __future__ import annotations

import re
from functools import lru_cache

_PERL_CLASSES = {
    "L": r"[^\W\d_]",
    "Lu": r"(?-i:[A-ZÀ-ÖØ-Þ])",
    "Ll": r"(?-i:[a-zß-öø-ÿ])",
    "N": r"\d",
    "Nd": r"\d",
}
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7F",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1F\\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


class PatternError(ValueError):
    """The pattern does not compile; the text is regexp/syntax's."""


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern for `search`. Raises PatternError."""
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"error parsing regexp: {_words(pattern, str(error))}") from None


def _translated(pattern: str) -> str:
    """The same in Python's syntax: `$` is the very end, classes have other names. Raises PatternError."""
    out: list[str] = []
    place, in_class = 0, False
    while place < len(pattern):
        one = pattern[place]
        if one == "\\" and place + 1 < len(pattern):
            out.append(_escape(pattern, place, in_class))
            place += _escape_length(pattern, place)
            continue
        if in_class:
            if one == "[" and (found := re.match(r"\[:(\^?)(\w+):\]", pattern[place:])):
                if found[1] or found[2] not in _POSIX:
                    raise PatternError(f"error parsing regexp: invalid character class range: `{found[0]}`")
                out.append(_POSIX[found[2]])
                place += len(found[0])
                continue
            out.append("\\[" if one == "[" else one)
            in_class = one != "]"
        elif one == "[":
            head = re.match(r"\[\^?\]?", pattern[place:])
            assert head is not None
            out.append(head[0].replace("]", "\\]"))
            place += len(head[0])
            in_class = True
            continue
        elif one == "$":
            out.append("\\Z")
        elif pattern.startswith(("(?=", "(?!", "(?<=", "(?<!"), place):
            shown = pattern[place : place + (4 if pattern[place + 2] == "<" else 3)]
            raise PatternError(f"error parsing regexp: invalid or unsupported Perl syntax: `{shown}`")
        elif pattern.startswith("(?<", place):
            out.append("(?P<")
            place += 3
            continue
        else:
            out.append(one)
        place += 1
    return "".join(out)


def _escape_length(pattern: str, place: int) -> int:
    found = re.match(
        r"\\(?:[pP](?:\{\^?\w+\}|\w)|x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|Q.*?(?:\\E|$)|.)", pattern[place:], re.DOTALL
    )
    return len(found[0]) if found else 2


def _escape(pattern: str, place: int, in_class: bool) -> str:
    text = pattern[place : place + _escape_length(pattern, place)]
    letter = text[1]
    if letter in "pP":
        name = text[2:].strip("{}^")
        known = _PERL_CLASSES.get(name)
        if known is None:
            raise PatternError(f"error parsing regexp: invalid character class range: `{text}`")
        return known[1:-1].replace("^", "") if in_class and name == "L" else known
    if letter == "z":
        return "\\Z"
    if letter == "Q":
        return re.escape(text[2:].removesuffix("\\E"))
    if letter == "x" and text[2:3] == "{":
        return re.escape(chr(int(text[3:-1], 16)))
    if letter.isdigit() and letter != "0":
        raise PatternError(f"error parsing regexp: invalid escape sequence: `{text}`")
    if letter.isalpha() and letter not in "AbBdDsSwWafnrtvxC":
        raise PatternError(f"error parsing regexp: invalid escape sequence: `{text}`")
    return text


def _words(pattern: str, error: str) -> str:
    """What Go calls it."""
    position = re.search(r"at position (\d+)", error)
    at = int(position[1]) if position else 0
    if "min repeat greater than max repeat" in error:
        counts = re.search(r"\{\d*,?\d*\}", pattern[max(0, at - 1) :])
        return f"invalid repeat count: `{counts[0] if counts else pattern}`"
    if "unterminated subpattern" in error:
        return f"missing closing ): `{pattern}`"
    if "unbalanced parenthesis" in error:
        return f"unexpected ): `{pattern}`"
    if "unterminated character set" in error:
        return f"missing closing ]: `{pattern[at:]}`"
    if "nothing to repeat" in error:
        return f"missing argument to repetition operator: `{pattern[at : at + 1]}`"
    if "multiple repeat" in error:
        return f"invalid nested repetition operator: `{pattern[at - 1 : at + 1]}`"
    if "bad character range" in error:
        found = re.search(r"bad character range (\S+)", error)
        return f"invalid character class range: `{found[1] if found else pattern}`"
    if "bad escape (end of pattern)" in error:
        return "trailing backslash at end of expression: ``"
    return f"invalid or unsupported Perl syntax: `{pattern}`"
