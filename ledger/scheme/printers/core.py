"""The core group but for what runs containers: nodes, namespaces, configuration, quota, events."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.printers import durations
from ledger.scheme.printers.cell import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Cell,
    Row,
    conditions,
    count,
    dig,
    fields,
    filled,
    items,
    row,
    value,
)

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _node_status(obj: Object, now: int) -> str:
    ready = [one for one in conditions(obj) if one.get("type") == "Ready"]
    status = "Unknown"
    if ready:
        status = "Ready" if ready[-1].get("status") == "True" else "NotReady"
    return f"{status},SchedulingDisabled" if dig(obj, "spec", "unschedulable") else status


def _node_roles(obj: Object, now: int) -> str:
    roles = set()
    for label, text in fields(obj, "metadata", "labels").items():
        if label.startswith(_ROLE_PREFIX):
            roles.add(label.removeprefix(_ROLE_PREFIX))
        elif label == _ROLE_LABEL:
            roles.add(text)
    return ",".join(sorted(roles - {""})) or NONE


def _node_address(kind: str) -> Cell:
    def cell(obj: Object, now: int) -> str:
        addresses = items(obj, "status", "addresses")
        return next((fields(one).get("address") or "" for one in addresses if fields(one).get("type") == kind), NONE)

    return cell


def _node_kernel(obj: Object, now: int) -> str:
    about = fields(obj, "status", "nodeInfo")
    kernel, architecture = about.get("kernelVersion") or UNKNOWN, about.get("architecture")
    return f"{kernel} ({architecture})" if architecture else kernel


def _quota(of_limits: bool) -> Cell:
    """Used and hard amounts of the quota's limits.*, or of everything else."""

    def cell(obj: Object, now: int) -> str:
        hard, used = fields(obj, "status", "hard"), fields(obj, "status", "used")
        shown = [name for name in sorted(hard) if name.startswith("limits.") == of_limits]
        return ", ".join(f"{name}: {used.get(name) or 0}/{hard[name]}" for name in shown)

    return cell


def _component(field: str) -> Cell:
    """A part of a component's Healthy condition."""

    def cell(obj: Object, now: int) -> str:
        found = next((one for one in conditions(obj, ("conditions",)) if one.get("type") == "Healthy"), None)
        if field == "status":
            return "Unknown" if found is None else "Healthy" if found.get("status") == "True" else "Unhealthy"
        return (found or {}).get(field) or ""

    return cell


def _first_seen(obj: Object, now: int) -> str:
    return durations.since(obj.get("firstTimestamp") or obj.get("eventTime"), now)


def _last_seen(obj: Object, now: int) -> str:
    if obj.get("series") is not None:
        return durations.since(dig(obj, "series", "lastObservedTime"), now)
    last = obj.get("lastTimestamp")
    return durations.since(last, now) if last else _first_seen(obj, now)


def _event_count(obj: Object, now: int) -> int:
    if obj.get("series") is not None:
        return dig(obj, "series", "count") or 0
    return obj.get("count") or 1  # events of the new API carry none


def _event_object(obj: Object, now: int) -> str:
    regarding = fields(obj, "involvedObject")
    kind, name = (regarding.get("kind") or "").lower(), regarding.get("name")
    return f"{kind}/{name}" if name else kind


def _event_source(obj: Object, now: int) -> str:
    source = fields(obj, "source")
    component = source.get("component") or obj.get("reportingComponent") or ""
    instance = source.get("host") or obj.get("reportingInstance")
    return f"{component}, {instance}" if instance else component


def _event_message(obj: Object, now: int) -> Any:
    return (obj.get("message") or "").strip()


_EVENT = row(
    _last_seen,
    value("type"),
    value("reason"),
    _event_object,
    value("involvedObject.fieldPath"),
    _event_source,
    _event_message,
    _first_seen,
    _event_count,
    NAME,
)

ROWS: dict[str, Row] = {
    "nodes": row(
        NAME,
        _node_status,
        _node_roles,
        AGE,
        value("status.nodeInfo.kubeletVersion"),
        _node_address("InternalIP"),
        _node_address("ExternalIP"),
        filled("status.nodeInfo.osImage", UNKNOWN),
        _node_kernel,
        filled("status.nodeInfo.containerRuntimeVersion", UNKNOWN),
    ),
    "namespaces": row(NAME, value("status.phase"), AGE),
    "configmaps": row(NAME, count("data", "binaryData"), AGE),
    "secrets": row(NAME, value("type"), count("data"), AGE),
    "serviceaccounts": row(NAME, AGE),
    "resourcequotas": row(NAME, _quota(of_limits=False), _quota(of_limits=True), AGE),
    "componentstatuses": row(NAME, _component("status"), _component("message"), _component("error")),
    "events": _EVENT,
}
