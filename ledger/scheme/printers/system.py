"""The API's own resources (definitions, services, storage versions) and devices (resource.k8s.io)."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.printers import durations
from ledger.scheme.printers.cell import (
    AGE,
    CREATED_AT,
    NAME,
    NONE,
    UNSET,
    Row,
    condition,
    conditions,
    dig,
    fields,
    items,
    joined,
    row,
    shortened,
    since,
    value,
)


def _served_versions(obj: Object, now: int) -> str:
    served = [one for one in items(obj, "spec", "versions") if one.get("served")]
    return ",".join(sorted(one.get("name", "") + ("(storage)" if one.get("storage") else "") for one in served))


def _established(obj: Object, now: int) -> bool:
    return any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions(obj))


def _backend(obj: Object, now: int) -> str:
    service = dig(obj, "spec", "service")
    return "Local" if service is None else f"{service.get('namespace') or ''}/{service.get('name') or ''}"


def _available(obj: Object, now: int) -> str:
    found = condition(obj, "Available")
    if found is None:
        return "Unknown"
    status, reason = found.get("status") or "", found.get("reason")
    return f"{status} ({reason})" if reason and status != "True" else status


def _storage_versions(obj: Object, now: int) -> str:
    versions = items(obj, "status", "storageVersions")
    return shortened([f"{one.get('apiServerID') or ''}={one.get('encodingVersion') or ''}" for one in versions])


def _migrated(obj: Object, now: int) -> str:
    resource = fields(obj, "spec", "resource")
    return ".".join(filter(None, (resource.get("resource"), resource.get("group"))))


def _migration(obj: Object, now: int) -> str:
    kinds = [one.get("type") for one in conditions(obj) if one.get("status") == "True"]
    return next((str(kind) for kind in reversed(kinds) if kind in ("Running", "Failed", "Succeeded")), "Unknown")


def _claim_state(obj: Object, now: int) -> str:
    deleted = bool(dig(obj, "metadata", "deletionTimestamp"))
    if dig(obj, "status", "allocation") is None:
        return "deleted" if deleted else "pending"
    reserved = bool(items(obj, "status", "reservedFor"))
    return ",".join(
        state for state, is_so in (("deleted", deleted), ("allocated", True), ("reserved", reserved)) if is_so
    )


_DEVICE_COUNTS = ("totalDevices", "availableDevices", "allocatedDevices", "unavailableDevices")


def _pool_status(obj: Object, now: int) -> list[Any]:
    """Name, Driver, Total, Available, Allocated, Unavailable, Errors, Pools, Status, Completed."""
    pools, pool_count = items(obj, "status", "pools"), dig(obj, "status", "poolCount") or 0
    ended = next(
        (one for one in conditions(obj) if one.get("type") in ("Complete", "Failed") and one.get("status") == "True"),
        {},
    )
    status, completed = ended.get("type", "Pending"), NONE
    if status == "Complete":
        completed = durations.since(ended.get("lastTransitionTime"), now)
        if pool_count > len(pools):
            status = f"Complete ({len(pools)}/{pool_count} pools)"
    if dig(obj, "status") is None or status == "Failed":
        sums = ["-"] * (len(_DEVICE_COUNTS) + 1)
    else:
        sums = [str(sum(pool.get(name) or 0 for pool in pools)) for name in _DEVICE_COUNTS]
        sums.append(str(sum(pool.get("validationError") is not None for pool in pools)))
    return [NAME(obj, now), dig(obj, "spec", "driver") or "", *sums, pool_count, status, completed]


_NAME_AND_AGE = row(NAME, AGE)

ROWS: dict[str, Row] = {
    "customresourcedefinitions.apiextensions.k8s.io": row(
        NAME,
        value("spec.scope"),
        _served_versions,
        CREATED_AT,
        value("spec.group"),
        value("spec.names.kind"),
        joined("spec.names.shortNames"),
        _established,
    ),
    "apiservices.apiregistration.k8s.io": row(NAME, _backend, _available, AGE),
    "storageversions.internal.apiserver.k8s.io": row(
        NAME, value("status.commonEncodingVersion", UNSET), _storage_versions, AGE
    ),
    "storageversionmigrations.storagemigration.k8s.io": row(NAME, _migrated, _migration),
    "deviceclasses.resource.k8s.io": _NAME_AND_AGE,
    "resourceclaimtemplates.resource.k8s.io": _NAME_AND_AGE,
    "resourceclaims.resource.k8s.io": row(NAME, _claim_state, AGE),
    "resourceslices.resource.k8s.io": row(
        NAME, value("spec.nodeName"), value("spec.driver"), value("spec.pool.name"), AGE
    ),
    "resourcepoolstatusrequests.resource.k8s.io": _pool_status,
    "devicetaintrules.resource.k8s.io": row(
        NAME,
        value("spec.taint.key"),
        value("spec.taint.value"),
        value("spec.taint.effect"),
        since("spec.taint.timeAdded", ""),
        AGE,
    ),
}
