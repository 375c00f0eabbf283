"""The tag of an image reference (parsers.ParseImageName, github.com/distribution/reference)."""

from __future__ import annotations

import re

_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PATH_PART}(?:/{_PATH_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_LONGEST_NAME = 255


def tag_of(image: str) -> str:
    """The tag; "latest" where neither tag nor digest is given; empty for a digest alone or what is no reference."""
    if re.fullmatch("[a-f0-9]{64}", image):
        return ""  # an identifier, not a name
    match = _REFERENCE.fullmatch(image)
    if match is None or len(match["name"]) > _LONGEST_NAME or match["name"] != match["name"].strip("/"):
        return ""
    return match["tag"] or ("" if match["digest"] else "latest")
