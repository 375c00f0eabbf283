"""What cells are made of: a cell is a function of the object and the time, most of them a path and what stands for nothing.

Printers must cope with objects that were never validated (an imported log may hold anything), so a path that leads
nowhere, or through something that is no object, is the same as one that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.printers import durations

Cell = Callable[
    [Object, int], Any
]  # (object in its stored version, microseconds since 1970) -> a string, number or bool
Row = Callable[[Object, int], list[Any]]

NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"


def row(*cells: Cell) -> Row:
    """A row whose cells are computed one by one."""
    return lambda obj, now: [cell(obj, now) for cell in cells]


def dig(obj: Any, *names: str) -> Any:
    """The value at the end of the names; None where any of them is missing."""
    for name in names:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(name)
    return obj


def items(obj: Any, *names: str) -> list[Any]:
    """The list at the end of the names; an empty one where there is none."""
    found = dig(obj, *names)
    return found if isinstance(found, list) else []


def fields(obj: Any, *names: str) -> dict[str, Any]:
    """The object at the end of the names; an empty one where there is none."""
    found = dig(obj, *names)
    return found if isinstance(found, dict) else {}


def value(path: str, missing: Any = "") -> Cell:
    """The value at a dotted path, or what stands for none: its type is that of Go's zero value."""
    names = path.split(".")

    def cell(obj: Object, now: int) -> Any:
        found = dig(obj, *names)
        return missing if found is None else found

    return cell


def filled(path: str, missing: str) -> Cell:
    """The text at a dotted path; `missing` for an empty one too."""
    names = path.split(".")
    return lambda obj, now: dig(obj, *names) or missing


def count(*paths: str) -> Cell:
    """How many members the lists or objects at the dotted paths have together."""
    split = [path.split(".") for path in paths]
    return lambda obj, now: sum(len(dig(obj, *names) or ()) for names in split)


def joined(path: str, missing: str = "") -> Cell:
    """The texts of a list, comma separated."""
    names = path.split(".")
    return lambda obj, now: ",".join(map(str, items(obj, *names))) or missing


def since(path: str, missing: str = UNKNOWN) -> Cell:
    """How long ago the time at a dotted path was."""
    names = path.split(".")

    def cell(obj: Object, now: int) -> str:
        found = dig(obj, *names)
        return durations.since(found, now) if found else missing

    return cell


def labels(path: str) -> Cell:
    """The labels at a dotted path (labels.FormatLabels): "a=1,b=2", "<none>" for none."""
    names = path.split(".")

    def cell(obj: Object, now: int) -> str:
        found = fields(obj, *names)
        return ",".join(f"{key}={found[key]}" for key in sorted(found)) or NONE

    return cell


NAME = value("metadata.name")
AGE = since("metadata.creationTimestamp")
# Go prints its zero time where an object carries none.
CREATED_AT = value("metadata.creationTimestamp", "0001-01-01T00:00:00Z")


def conditions(obj: Object, path: Sequence[str] = ("status", "conditions")) -> list[dict[str, Any]]:
    """The conditions that are objects, in their order."""
    return [one for one in items(obj, *path) if isinstance(one, dict)]


def condition(obj: Object, kind: str) -> dict[str, Any] | None:
    """The first condition of a type."""
    return next((one for one in conditions(obj) if one.get("type") == kind), None)


def is_true(obj: Object, kind: str) -> bool:
    """Whether the first condition of a type says so."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def named(parts: Iterable[Any], name: str) -> list[str]:
    """One field of each object in a list, as text."""
    return [str(part.get(name) or "") if isinstance(part, dict) else "" for part in parts]


def shortened(texts: Sequence[str], shown: int = 3, missing: str = UNSET) -> str:
    """The first few, comma separated, and how many there are beyond: "a,b,c + 2 more..."."""
    text = ",".join(texts[:shown])
    if len(texts) > shown:
        return f"{text} + {len(texts) - shown} more..."
    return text or missing
