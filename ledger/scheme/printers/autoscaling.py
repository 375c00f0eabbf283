"""The metrics of a HorizontalPodAutoscaler: "cpu: 12%/80%, 3/5 (avg) + 1 more..." (formatHPAMetrics)."""

from __future__ import annotations

from typing import Any, NamedTuple

from ledger.scheme.printers.cell import NONE, UNKNOWN, dig, fields

_SHOWN = 2


class _Source(NamedTuple):
    """How metrics of a type are shown."""

    field: str  # where the metric has its facts
    by_name: bool = False  # a resource: its name comes first, and its other target is a utilization
    averages_only: bool = False


_SOURCES = {
    "External": _Source("external"),
    "Object": _Source("object"),
    "Pods": _Source("pods", averages_only=True),
    "Resource": _Source("resource", by_name=True),
    "ContainerResource": _Source("containerResource", by_name=True),
}


def metrics(specs: list[Any], statuses: list[Any]) -> str:
    """Current and target values of the first two metrics; the n-th status belongs to the n-th spec."""
    if not specs:
        return NONE
    texts = [
        _metric(fields(spec), fields(statuses[place]) if place < len(statuses) else {})
        for place, spec in enumerate(specs[:_SHOWN])
    ]
    more = f" + {len(specs) - _SHOWN} more..." if len(specs) > _SHOWN else ""
    return ", ".join(texts) + more


def _metric(spec: dict[str, Any], status: dict[str, Any]) -> str:
    source = _SOURCES.get(spec.get("type", ""))
    if source is None:
        return "<unknown type>"
    target = fields(spec, source.field, "target")
    known = status.get(source.field) is not None
    current = fields(status, source.field, "current")
    if source.by_name:
        return f"{dig(spec, source.field, 'name') or ''}: {_of_resource(target, current, known)}"
    average = target.get("averageValue")
    if source.averages_only:
        return f"{_amount(current, 'averageValue', known)}/{_text(average)}"
    if average is not None:
        return f"{_amount(current, 'averageValue', current.get('averageValue') is not None)}/{average} (avg)"
    return f"{_amount(current, 'value', known)}/{_text(target.get('value'))}"


def _of_resource(target: dict[str, Any], current: dict[str, Any], known: bool) -> str:
    if target.get("averageValue") is not None:
        return f"{_amount(current, 'averageValue', known)}/{target['averageValue']}"
    now, wanted = current.get("averageUtilization"), target.get("averageUtilization")
    return f"{UNKNOWN if now is None else f'{now}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"


def _amount(current: dict[str, Any], field: str, known: bool) -> str:
    return _text(current.get(field)) if known else UNKNOWN


def _text(quantity: Any) -> str:
    """A quantity as Go prints a pointer to one."""
    return "<nil>" if quantity is None else str(quantity)
