"""The query of a URL as Go's url.ParseQuery reads it where an error is ignored, as kube-apiserver does everywhere."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

PAIRS_MAX = 10_000
_BROKEN = re.compile(r";|%(?![0-9A-Fa-f]{2})").search


def pairs_of(query: str) -> list[tuple[str, str]]:
    """(name, value) in order, decoded. A pair with a semicolon or a broken escape is left out, and only that pair.

    Of more than 10,000 none is left, as since Go 1.26 (urlmaxqueryparams).
    """
    if query.count("&") >= PAIRS_MAX:
        return []
    if _BROKEN(query):
        query = "&".join(pair for pair in query.split("&") if not _BROKEN(pair))
    return parse_qsl(query, keep_blank_values=True)


def first_of(query: str, name: str, default: str = "") -> str:
    """The first value of a parameter, as url.Values.Get."""
    return next((value for given, value in pairs_of(query) if given == name), default)
