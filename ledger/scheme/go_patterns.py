"""Regular expressions in Go's syntax, which is RE2's, and Go's words where they do not compile.

Patterns come from whoever may write a definition or a policy, and run inside the server: RE2 matches in time that grows with
the text alone, whatever the pattern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False

# RE2's words and Go's (regexp/syntax), where they differ. Go quotes what it points at.
_WORDS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
    "pattern too large": "expression too large",
}


class PatternError(ValueError):
    """The pattern does not compile; the text is regexp/syntax's."""


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """The pattern, with the methods of the standard library's. Raises PatternError."""
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        raise PatternError(f"error parsing regexp: {_words(error)}") from None
    except UnicodeEncodeError:
        raise PatternError(f"error parsing regexp: invalid UTF-8: `{pattern!a}`") from None


def _words(error: Exception) -> str:
    """What Go calls it."""
    (given,) = error.args
    text = given.decode(errors="replace") if isinstance(given, bytes) else str(given)
    what, _, where = text.partition(": ")
    return f"{_WORDS.get(what, what)}: `{where}`"
