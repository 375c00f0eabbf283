"""The APIService objects of the groups this server serves itself (kube-apiserver's autoregistration)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.builtin import group_versions
from ledger.scheme.scheme import Scheme

API_VERSION = "apiregistration.k8s.io/v1"
AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
OWN_GROUP = "apiregistration.k8s.io"  # the aggregator does not register itself


def local_api_services(scheme: Scheme, now: str) -> Iterator[Object]:
    """One for each served group-version that came in the box, available from the start; `now` is RFC 3339."""
    known = group_versions()
    for group in scheme.groups():
        for version in group.versions:
            one = known.get((group.name, version))
            if one is not None and group.name != OWN_GROUP:
                yield api_service(group.name, version, one.group_priority, one.version_priority, "onstart", now)


def api_service(group: str, version: str, group_priority: int, version_priority: int, managed: str, now: str) -> Object:
    """A local APIService without uid. `managed`: "onstart" for built-ins, "true" for what comes and goes."""
    spec: dict[str, Any] = {"group": group} if group else {}
    spec |= {"version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority}
    owned: dict[str, Any] = {f"f:{name}": {} for name in sorted(spec)}
    entry = {
        "manager": "kube-apiserver",
        "operation": "Update",
        "apiVersion": API_VERSION,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, f"f:{AUTOMANAGED}": {}}}, "f:spec": owned},
    }
    available = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    return {
        "metadata": {
            "name": f"{version}.{group}",
            "creationTimestamp": now,
            "labels": {AUTOMANAGED: managed},
            "managedFields": [entry],
        },
        "spec": spec,
        "status": {"conditions": [available]},
    }
