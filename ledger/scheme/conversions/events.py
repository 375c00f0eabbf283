"""events.k8s.io/v1 Event and the stored core/v1 Event: the same facts under other names.

Follows pkg/apis/events/v1/conversion.go in k8s.io/kubernetes. Fields come in the order of Go's structs, as both types
write some of theirs even when they are empty.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.conversions.steps import Steps, renamed

# (events.k8s.io/v1 name, core/v1 name), in the order of core/v1.
_FIELDS = (
    ("regarding", "involvedObject"),
    ("reason", "reason"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("series", "series"),
    ("action", "action"),
    ("related", "related"),
    ("reportingController", "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
)
_TO_CORE = dict(_FIELDS)
_FROM_CORE = {core: name for name, core in _FIELDS}
_CORE_ORDER = ("kind", "apiVersion", "metadata", *_TO_CORE.values())
_EVENTS_ORDER = (
    "kind",
    "apiVersion",
    "metadata",
    "eventTime",
    "series",
    "reportingController",
    "reportingInstance",
    "action",
    "reason",
    "regarding",
    "related",
    "note",
    "type",
    "deprecatedSource",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "deprecatedCount",
)
_WRITTEN_BY_CORE: dict[str, Any] = {"reportingComponent": "", "reportingInstance": ""}


def _to_core(obj: Object) -> Object:
    return _ordered(_WRITTEN_BY_CORE | renamed(obj, _TO_CORE), _CORE_ORDER)


def _from_core(obj: Object) -> Object:
    shown = {key: value for key, value in obj.items() if not (key in _WRITTEN_BY_CORE and value == "")}
    return _ordered(renamed(shown, _FROM_CORE), _EVENTS_ORDER)


def _ordered(fields: dict[str, Any], order: tuple[str, ...]) -> Object:
    known = {key: fields[key] for key in order if key in fields}
    return known | {key: value for key, value in fields.items() if key not in known}


STEPS = {("events.k8s.io", "v1", "Event"): Steps(_to_core, _from_core)}
