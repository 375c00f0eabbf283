"""Events, old and new."""

from __future__ import annotations

from ledger.apimachinery.names import (
    is_qualified_name,
)
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings


def event(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """Events as core/v1 has them; events.k8s.io/v1 asks for more (see `newer_event`)."""
    return _event_of_old(obj, "reportingComponent")


def _event_of_old(obj: Object, controller: str) -> Findings:
    found = Findings()
    namespace, of_object = obj["metadata"].get("namespace", ""), get(obj, "involvedObject.namespace", "")
    if not obj.get("eventTime"):
        if (of_object or "default") != namespace and not (not of_object and not namespace):
            found.invalid("involvedObject.namespace", of_object, "does not match event.namespace")
        return found
    if not of_object and namespace not in ("default", "kube-system"):
        found.invalid("involvedObject.namespace", of_object, "does not match event.namespace")
    reporter = obj.get("reportingComponent", "")
    if not reporter:
        found.required(controller)
    found.check(controller, reporter, is_qualified_name)
    for key, limit in (("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024)):
        value = obj.get(key, "")
        if not value and key != "message":
            found.required(key)
        if len(value.encode()) > limit:
            found.invalid(key, "", f"can have at most {limit} characters")
    return found


def newer_event(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = _event_of_old(obj, "reportingController")
    found += meta_findings(definition, obj)
    _series(found, obj)
    if not obj.get("eventTime"):
        found.required("eventTime")
    if obj.get("type") not in ("Normal", "Warning"):
        found.invalid("type", "", f"has invalid value: {obj.get('type', '')}")
    for key in ("firstTimestamp", "lastTimestamp", "count"):
        if obj.get(key):
            found.invalid(key, "", "needs to be unset")
    if any((obj.get("source") or {}).values()):
        found.invalid("source", "", "needs to be unset")
    return found


def _series(found: Findings, obj: Object) -> None:
    series = obj.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            found.invalid("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            found.required("series.lastObservedTime")


def event_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _event_of_old(obj, "reportingComponent")


_EVENT_FIXED = (
    *(("involvedObject", "core.ObjectReference"), ("reason", ""), ("message", ""), ("source", "core.EventSource")),
    *(
        ("firstTimestamp", None),
        ("lastTimestamp", None),
        ("count", 0),
        ("reason", ""),
        ("type", ""),
        ("eventTime", None),
    ),
    *(("action", ""), ("related", "core.ObjectReference"), ("reportingComponent", ""), ("reportingInstance", "")),
)


def newer_event_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = _event_of_old(obj, "reportingController")
    found += meta_update_findings(definition, obj, old)
    if not same(obj.get("series"), old.get("series")):
        _series(found, obj)
    for key, shape in _EVENT_FIXED:
        if not same(obj.get(key) or None, old.get(key) or None):
            internal = isinstance(shape, str) and shape.startswith("core.")
            shown = go_value(shape, obj.get(key)) if internal and isinstance(shape, str) else obj.get(key) or shape
            path = "reportingController" if key == "reportingComponent" else key
            found.invalid(path, shown, "field is immutable")
    return found
