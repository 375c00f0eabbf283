"""Warning headers: what kubectl prints as `Warning: ...`. Too many of them are cut short, not dropped.

Follows the recorder in k8s.io/apiserver/pkg/endpoints/filters/warning.go and NewWarningHeader in k8s.io/apimachinery.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_TOTAL_MAX = 4 * 1024  # characters over all warnings of an answer, before each is cut
_CUT_AT = 256


def warning_headers(texts: Iterable[str]) -> list[tuple[str, str]]:
    """One header a distinct text, in order. Above 4096 characters in all, each text keeps its first 256."""
    distinct = [text for text in dict.fromkeys(texts) if text]
    if sum(len(text) for text in distinct if _sendable(text)) <= _TOTAL_MAX:
        return [_header(text) for text in distinct if _sendable(text)]
    headers, written = [], 0
    for text in distinct:
        if written >= _TOTAL_MAX:
            break
        text = text[:_CUT_AT]
        if _sendable(text):
            written += len(text)
            headers.append(_header(text))
    return headers


def _header(text: str) -> tuple[str, str]:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "warning", f'299 - "{escaped}"'


def _sendable(text: str) -> bool:
    """Upstream leaves out texts that a header cannot carry."""
    return not any(unicodedata.category(char) in ("Cc", "Cs") for char in text)
