"""Places inside an object: data.DATABASE_PORT, containers[name=orders].image, annotations["a/b"], /json/pointer.

A path is a tuple of steps: a member's name, a list index, or a Keyed (the element with these key values).
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple


class Keyed(NamedTuple):
    """The list element whose members have these values: (("name", "orders"),)."""

    values: tuple[tuple[str, Any], ...]


Step = str | int | Keyed
Path = tuple[Step, ...]
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__bool__": lambda self: False})()


class PathError(ValueError):
    """The text is not a path."""


_NAME = re.compile(r"[^.\[\]\"/=][^.\[\]=]*")
_PART = re.compile(r'\[(?:"((?:[^"\\]|\\.)*)"|(-?\d+)|([^\]=]+=[^\]]*))\]')


def parse_path(text: str) -> Path:
    """Raises PathError."""
    if text.startswith("/"):
        parts = text[1:].split("/")
        return tuple(_pointer_step(part.replace("~1", "/").replace("~0", "~")) for part in parts)
    steps: list[Step] = []
    place = 0
    while place < len(text):
        if text[place] == "[":
            found = _PART.match(text, place)
            if not found:
                raise PathError(f"{text!r} is not a path: nothing known begins at {text[place:]!r}")
            steps.append(_bracketed(found))
        else:
            found = _NAME.match(text, place)
            if not found:
                raise PathError(f"{text!r} is not a path: a name is missing at {text[place:]!r}")
            steps.append(found[0])
        place = found.end()
        if place < len(text) and text[place] == ".":
            place += 1
            if place == len(text):
                raise PathError(f"{text!r} is not a path: it ends with a dot")
    if not steps:
        raise PathError("an empty path: try metadata.labels or spec.replicas")
    return tuple(steps)


def _pointer_step(part: str) -> Step:
    return int(part) if part.isdigit() else part


def _bracketed(found: re.Match[str]) -> Step:
    quoted, index, pairs = found.groups()
    if quoted is not None:
        name: str = json.loads(f'"{quoted}"')
        return name
    if index is not None:
        return int(index)
    values = []
    for pair in pairs.split(","):
        name, _, value = pair.partition("=")
        values.append((name.strip(), _scalar(value.strip())))
    return Keyed(tuple(values))


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def format_path(path: Path) -> str:
    """As `parse_path` reads it."""
    text = ""
    for step in path:
        if isinstance(step, Keyed):
            text += "[" + ",".join(f"{name}={value}" for name, value in step.values) + "]"
        elif isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step) and "/" not in step:
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def path_json(path: Path) -> list[Any]:
    """For machines: names, indexes, and {key: value} for keyed elements."""
    return [dict(step.values) if isinstance(step, Keyed) else step for step in path]


def value_at(obj: Any, path: Path) -> Any:
    """The value there, or ABSENT. Indexes may also be written as names: containers.0.image."""
    for step in path:
        if isinstance(step, Keyed):
            obj = next((one for one in obj if _matches(one, step)), ABSENT) if isinstance(obj, list) else ABSENT
        elif isinstance(step, int):
            obj = obj[step] if isinstance(obj, list) and -len(obj) <= step < len(obj) else ABSENT
        elif isinstance(obj, dict):
            obj = obj.get(step, ABSENT)
        elif isinstance(obj, list) and step.isdigit():
            obj = obj[int(step)] if int(step) < len(obj) else ABSENT
        else:
            return ABSENT
        if obj is ABSENT:
            return ABSENT
    return obj


def _matches(element: Any, keyed: Keyed) -> bool:
    return isinstance(element, dict) and all(_same(element.get(name), value) for name, value in keyed.values)


def _same(actual: Any, wanted: Any) -> bool:
    return actual == wanted or (actual is not None and str(actual) == str(wanted))


def member_names(obj: Any, path: Path) -> list[str]:
    """The names one level below a path, to suggest another."""
    found = value_at(obj, path)
    return list(found) if isinstance(found, dict) else []
