"""The cells of custom resources: what a CRD's additionalPrinterColumns find, as the column's type asks.

Follows pkg/registry/customresource/tableconvertor in k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.apimachinery import gotext, gotime
from ledger.apimachinery.json_codec import dumps_sorted
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import Column
from ledger.scheme.printers import durations, jsonpath
from ledger.scheme.printers.jsonpath_steps import JSONPathError

_INT64 = range(-(2**63), 2**63)


def custom_cells(columns: Sequence[Column], obj: Object, now: int) -> list[Any]:
    """One value a column; null where the path finds nothing or what it finds is of another type."""
    return [_cell(column, obj, now) for column in columns]


def _cell(column: Column, obj: Object, now: int) -> Any:
    if not column.path:
        return obj["metadata"].get("name", "")
    try:
        found = jsonpath.find(column.path, obj)
    except JSONPathError:
        return None
    if not found:
        return None
    if column.type == "string":
        return _text(found[0])
    return None if found[0] is None else _TYPES.get(column.type, _nothing)(found[0], now)


def _text(value: Any) -> str:
    """A value as text; null is what Go's templates print for no value."""
    if value is None:
        return "<no value>"
    if isinstance(value, (dict, list)):
        return dumps_sorted(value).decode()
    return gotext.verb_v(value)


def _integer(value: Any, now: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    whole = int(value)
    return whole if whole in _INT64 else -(2**63)  # Go's conversion of what does not fit


def _number(value: Any, now: int) -> int | float | None:
    """A float64, which prints without a fraction where it has none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    amount = float(value)
    return int(amount) if amount.is_integer() and abs(amount) < 1e21 else amount


def _boolean(value: Any, now: int) -> bool | None:
    return value if isinstance(value, bool) else None


def _age(value: Any, now: int) -> str | None:
    if not isinstance(value, str):
        return None
    if value in ("", "null"):
        return durations.UNKNOWN
    try:
        time = gotime.time(value)
    except gotime.TimeError:
        return durations.INVALID
    return durations.since(time, now)


def _nothing(value: Any, now: int) -> None:
    return None


_TYPES = {"integer": _integer, "number": _number, "boolean": _boolean, "date": _age}
