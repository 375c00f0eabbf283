"""Discovery documents of what is served here and what extension servers serve, in one.

Follows kube-aggregator (handler_apis.go, handler_discovery.go) and the merging of apiserver's aggregated discovery. With
no extension server everything is the Scheme's own document, byte for byte.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from ledger.apimachinery.resource import Object
from ledger.scheme import discovery
from ledger.scheme.builtin import GroupVersion, group_versions
from ledger.scheme.scheme import CUSTOM_PRIORITIES, Group, Scheme, kube_version_key


class RemoteVersion(NamedTuple):
    """One group-version of an extension server."""

    group: str
    version: str
    group_priority: int
    version_priority: int
    resources: tuple[dict[str, Any], ...]  # as aggregated discovery has them
    current: bool  # the server answered when it was asked last

    def __hash__(self) -> int:
        return hash(self[:4])


Remotes = tuple[RemoteVersion, ...]


def group_list(scheme: Scheme, remotes: Remotes) -> Object:
    """/apis"""
    if not remotes:
        return discovery.api_group_list(scheme)
    groups = [discovery.group_entry(one) for one in _groups(scheme, remotes) if one.name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group_named(scheme: Scheme, remotes: Remotes, name: str) -> Group | None:
    """For /apis/GROUP."""
    if not any(one.group == name for one in remotes):
        return scheme.group(name)
    return next(one for one in _groups(scheme, remotes) if one.name == name)


@functools.lru_cache(maxsize=4)
def aggregated(scheme: Scheme, remotes: Remotes, core: bool) -> tuple[Object, str]:
    """Aggregated discovery v2, /api (`core`) or /apis, and its ETag without quotes."""
    mine = tuple(one for one in remotes if (not one.group) == core)
    if not mine:
        return discovery.aggregated(scheme, core)
    by_place = {(one.group, one.version): one for one in mine}
    groups = [one for one in _groups(scheme, mine) if (not one.name) == core]
    items = [_group(scheme, by_place, one) for one in sorted(groups, key=lambda one: (-one.priority, one.name))]
    return discovery.discovery_list(items)


def _group(scheme: Scheme, remotes: dict[tuple[str, str], RemoteVersion], group: Group) -> dict[str, Any]:
    versions = []
    for version in group.versions:
        remote = remotes.get((group.name, version))
        if remote is None:
            versions.append(discovery.version_entry(scheme, group.name, version))
            continue
        entry: dict[str, Any] = {"version": version}
        if remote.resources:
            entry["resources"] = list(remote.resources)
        versions.append(entry | {"freshness": "Current" if remote.current else "Stale"})
    return {"metadata": {"name": group.name} if group.name else {}, "versions": versions}


def _groups(scheme: Scheme, remotes: Remotes) -> list[Group]:
    """All groups, by priority and then the name of their first APIService (SortedByGroupAndVersion)."""
    known = group_versions()
    places: dict[str, dict[str, GroupVersion]] = {}
    for group in scheme.groups():
        for version in group.versions:
            places.setdefault(group.name, {})[version] = known.get((group.name, version), CUSTOM_PRIORITIES)
    for one in remotes:
        own = GroupVersion(
            one.group, one.version, group_priority=one.group_priority, version_priority=one.version_priority
        )
        places.setdefault(one.group, {})[one.version] = own

    def place(group: str) -> tuple[bool, int, str]:
        versions = places[group]
        return min((group != "", -versions[one].group_priority, f"{one}.{group}") for one in versions)

    def order(group: str) -> tuple[str, ...]:
        versions = places[group]
        newest = sorted(versions, key=kube_version_key, reverse=True)
        return tuple(sorted(newest, key=lambda one: -versions[one].version_priority))

    return [Group(group, order(group), -place(group)[1]) for group in sorted(places, key=place)]


def resources_of(document: Object) -> tuple[dict[str, Any], ...]:
    """What an APIResourceList says, as aggregated discovery has it (ConvertGroupVersionIntoToDiscovery).

    A subresource whose resource is not listed gets one without verbs. Raises ValueError for something else.
    """
    listed = document.get("resources")
    if document.get("kind") != "APIResourceList" or not isinstance(listed, list):
        raise ValueError("this is no APIResourceList")
    found: dict[str, dict[str, Any]] = {}
    for one in listed:
        name, _, subresource = one["name"].partition("/")
        kind = {"group": one.get("group", ""), "version": one.get("version", ""), "kind": one.get("kind", "")}
        scope = "Namespaced" if one.get("namespaced") else "Cluster"
        if not subresource:
            entry: dict[str, Any] = {"resource": name, "responseKind": kind, "scope": scope}
            entry["singularResource"] = one.get("singularName", "")
            entry["verbs"] = one.get("verbs") or []
            optional = {"shortNames": one.get("shortNames"), "categories": one.get("categories")}
            kept = found.get(name, {}).get("subresources")
            optional["subresources"] = kept
            found[name] = entry | {key: value for key, value in optional.items() if value}
            continue
        parent = found.setdefault(
            name, {"resource": name, "responseKind": {"group": "", "version": "", "kind": ""}, "scope": scope,
                   "singularResource": "", "verbs": []}
        )  # fmt: skip
        entry = {"subresource": subresource, "responseKind": kind, "verbs": one.get("verbs") or []}
        parent.setdefault("subresources", []).append(entry)
    return tuple(found.values())


def resources_in(document: Object) -> dict[tuple[str, str], tuple[dict[str, Any], ...]]:
    """Of each group-version in an APIGroupDiscoveryList. Raises ValueError for something else."""
    if document.get("kind") != "APIGroupDiscoveryList":
        raise ValueError("this is no APIGroupDiscoveryList")
    found = {}
    for group in document.get("items") or ():
        for version in group.get("versions") or ():
            place = ((group.get("metadata") or {}).get("name", ""), version.get("version", ""))
            found[place] = tuple(_as_go_writes(one) for one in version.get("resources") or ())
    return found


_OPTIONAL = ("shortNames", "categories")


def _as_go_writes(resource: dict[str, Any]) -> dict[str, Any]:
    """The known fields in their order; a missing responseKind is an empty one, as old clients stumble over none."""
    entry: dict[str, Any] = {"resource": resource["resource"], "responseKind": _kind(resource)}
    entry |= {name: resource.get(name, "") for name in ("scope", "singularResource")}
    entry |= {"verbs": resource.get("verbs") or []}
    entry |= {name: resource[name] for name in _OPTIONAL if resource.get(name)}
    subresources = [
        {"subresource": one["subresource"], "responseKind": _kind(one)}
        | ({"acceptedTypes": one["acceptedTypes"]} if one.get("acceptedTypes") else {})
        | {"verbs": one.get("verbs") or []}
        for one in resource.get("subresources") or ()
    ]
    return entry | ({"subresources": subresources} if subresources else {})


def _kind(entry: dict[str, Any]) -> dict[str, str]:
    given = entry.get("responseKind") or {}
    return {name: given.get(name, "") for name in ("group", "version", "kind")}
