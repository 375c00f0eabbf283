"""Discovery documents: what a Scheme serves, in the words of /api, /apis and what lies below.

Keys stand in the order in which Go writes them, as the ETag of aggregated discovery is a hash of that text.
Follows k8s.io/apiserver pkg/endpoints/discovery and kube-aggregator's handler_apis.go.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

from ledger.apimachinery.resource import GVK, Object, api_version
from ledger.scheme.definition import ResourceDefinition, Subresource, Version
from ledger.scheme.scheme import Group, Scheme


def api_versions(server_address: str) -> Object:
    """/api: the versions of the core group; `server_address` is the host:port that clients are told."""
    cidrs = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": cidrs}


@functools.lru_cache(maxsize=4)
def api_group_list(scheme: Scheme) -> Object:
    """/apis: every group but the core group."""
    groups = [group_entry(group) for group in scheme.groups() if group.name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(group: Group) -> Object:
    """/apis/GROUP"""
    return {"kind": "APIGroup", "apiVersion": "v1", **group_entry(group)}


def group_entry(group: Group) -> dict[str, Any]:
    versions = [{"groupVersion": f"{group.name}/{version}", "version": version} for version in group.versions]
    return {"name": group.name, "versions": versions, "preferredVersion": versions[0]}


@functools.lru_cache(maxsize=128)
def api_resource_list(scheme: Scheme, group: str, version: str) -> Object | None:
    """/api/v1, /apis/GROUP/VERSION; None where nothing is served. The core group's list has no apiVersion."""
    if not scheme.serves(group, version):
        return None
    head: Object = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group else {})
    resources = [
        entry
        for definition, served in scheme.resources(group, version)
        for entry in (_resource(definition, served), *_subresources(definition, served))
    ]
    return {**head, "groupVersion": api_version(group, version), "resources": resources}


def _resource(definition: ResourceDefinition, version: Version) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": definition.resource,
        "singularName": definition.singular,
        "namespaced": definition.namespaced,
        "kind": definition.kind,
        "verbs": _verbs(definition),
    }
    return entry | _names(definition) | _present(storageVersionHash=version.storage_version_hash)


def _verbs(definition: ResourceDefinition) -> list[str]:
    """What discovery offers, which is less than what is served while a definition is being deleted."""
    return list(definition.traits.more.get("discovery_verbs", definition.verbs))


def _subresources(definition: ResourceDefinition, version: Version) -> Iterable[dict[str, Any]]:
    for subresource in version.subresources.values():
        entry: dict[str, Any] = {
            "name": f"{definition.resource}/{subresource.name}",
            "singularName": "",
            "namespaced": definition.namespaced,
        }
        if _is_foreign(subresource, version):
            entry |= {"group": subresource.kind.group, "version": subresource.kind.version}
        yield entry | {"kind": subresource.kind.kind, "verbs": list(subresource.verbs)}


def _is_foreign(subresource: Subresource, version: Version) -> bool:
    return subresource.kind[:2] != version.kind[:2]


def _names(definition: ResourceDefinition) -> dict[str, Any]:
    return _present(shortNames=list(definition.short_names), categories=list(definition.categories))


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


@functools.lru_cache(maxsize=8)
def aggregated(scheme: Scheme, core: bool) -> tuple[Object, str]:
    """Aggregated discovery v2, /api (`core`) or /apis, and its ETag without quotes.

    Groups of equal priority are ordered by name here, by the name of their first APIService in /apis: both as upstream.
    """
    groups = [group for group in scheme.groups() if (not group.name) == core]
    items = [_aggregated_group(scheme, group) for group in sorted(groups, key=lambda one: (-one.priority, one.name))]
    return discovery_list(items)


def discovery_list(items: list[dict[str, Any]]) -> tuple[Object, str]:
    """An APIGroupDiscoveryList and its ETag without quotes."""
    hashed = {"metadata": {}, "items": items}
    etag = hashlib.sha512(orjson.dumps(hashed)).hexdigest().upper()
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", **hashed}, etag


def _aggregated_group(scheme: Scheme, group: Group) -> dict[str, Any]:
    versions = [version_entry(scheme, group.name, version) for version in group.versions]
    return {"metadata": _present(name=group.name), "versions": versions}


def version_entry(scheme: Scheme, group: str, version: str) -> dict[str, Any]:
    """What is served here in one group-version."""
    resources = [_aggregated_resource(*served) for served in scheme.resources(group, version)]
    return {"version": version, "resources": resources, "freshness": "Current"}


def _aggregated_resource(definition: ResourceDefinition, version: Version) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": definition.resource,
        "responseKind": _response_kind(version.kind, definition.custom),
        "scope": "Namespaced" if definition.namespaced else "Cluster",
        "singularResource": definition.singular,
        "verbs": _verbs(definition),
    }
    subresources = [
        {
            "subresource": subresource.name,
            "responseKind": _response_kind(subresource.kind, definition.custom or _is_foreign(subresource, version)),
            "verbs": list(subresource.verbs),
        }
        for subresource in version.subresources.values()
    ]
    return entry | _names(definition) | _present(subresources=subresources)


def _response_kind(kind: GVK, with_group_version: bool) -> dict[str, str]:
    """Built-ins leave group and version empty where they are those of the surrounding document; CRDs do not."""
    if with_group_version:
        return {"group": kind.group, "version": kind.version, "kind": kind.kind}
    return {"group": "", "version": "", "kind": kind.kind}
