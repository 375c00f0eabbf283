"""Values and differences as kube-apiserver prints its internal types (data/internal_types.json)."""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib import resources
from typing import Any

_CONTEXT_LINES = 3


def go_value(kind: str, value: Any) -> Any:
    """`value`, an object of the API, as the internal type `kind` ("core.Taint") has it: Go's names, zero values shown.

    "[]core.Taint" is a list of them.
    """
    if value is None:
        return None
    if kind.startswith("[]"):
        return _shaped(kind, value)
    shown: dict[str, Any] = {}
    for name, key, shape in _types()[kind]:
        if shape == "meta":
            shown |= value.get(key) or {}
        else:
            shown[name] = _shaped(shape, value.get(key))
    return shown


def _shaped(shape: Any, value: Any) -> Any:
    if not isinstance(shape, str) or "." not in shape:
        if value is not None:
            return value
        return None if shape == "null" else shape
    kind = shape.lstrip("*[]").removeprefix("map:")
    if kind == shape:
        return go_value(kind, value or {})
    if shape.startswith("[]"):
        return [go_value(kind, one) for one in value] if value else None
    if shape.startswith("map:"):
        return {key: go_value(kind, one) for key, one in sorted(value.items())} if value else None
    return go_value(kind, value)


def go_diff(kind: str, old: Any, new: Any) -> str:
    """A unified diff of two values of an internal type, or of lists of them ("[]core.Volume"), as JSON with three
    lines of context (k8s.io/apimachinery/pkg/util/diff)."""
    before, after = (_lines(_shaped(kind, value)) for value in (old, new))
    return "".join(list(difflib.unified_diff(before, after, n=_CONTEXT_LINES))[2:])


def _lines(value: Any) -> list[str]:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return [f"{line}\n" for line in text.split("\n")]


@cache
def _types() -> dict[str, Any]:
    return json.loads(resources.files("ledger.scheme").joinpath("data/internal_types.json").read_bytes())
