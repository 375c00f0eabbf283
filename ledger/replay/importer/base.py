"""A snapshot of a cluster: the state at one revision, whatever the log can say about how it came about."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object, split_api_version
from ledger.replay.importer.record import STORED_AS, Unusable, micros, revision_of
from ledger.scheme.scheme import Scheme


class BadSnapshot(Exception):
    """The file cannot be used as a base; the message says why."""


@dataclass(slots=True)
class Base:
    """The objects of a snapshot by key; `covered` are the resources of which it holds every object."""

    revision: int
    moment: int  # when it was taken, in microseconds since 1970; 0: it does not say
    objects: dict[Key, Object]
    covered: frozenset[GroupResource]
    paths: tuple[
        tuple[tuple[str, str], str], ...
    ] = ()  # ((group, version), resource) of each list, as it was asked for

    def revisions(self) -> dict[Key, int]:
        return {key: revision_of(obj["metadata"]) for key, obj in self.objects.items()}


def read_base(path: str, scheme: Scheme) -> Base:
    """Reads a recorded snapshot (all resources at one revision) or the List of `kubectl get ... -o json`.

    Raises BadSnapshot, OSError.
    """
    raw = Path(path).read_bytes()
    try:
        decoded = orjson.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (orjson.JSONDecodeError, EOFError, OSError) as error:
        raise BadSnapshot(f"{path}: not JSON: {error}") from error
    if isinstance(decoded, dict) and isinstance(decoded.get("resources"), dict):
        return _of_resources(decoded)
    if isinstance(decoded, dict) and isinstance(decoded.get("items"), list):
        return _of_list(decoded["items"], decoded.get("metadata") or {}, scheme)
    raise BadSnapshot(f"{path}: neither a snapshot (with resources) nor a List (with items)")


def _of_resources(decoded: Object) -> Base:
    """{"resourceVersion": "512", "resources": {"apps/v1/deployments": {"kind", "apiVersion", "items": [...]}}}."""
    objects: dict[Key, Object] = {}
    covered, paths = set(), []
    for path, listing in decoded["resources"].items():
        group, version, resource = path.split("/", 2) if path.count("/") == 2 else ("core", "v1", path)
        group, resource = STORED_AS.get((group, resource), ("" if group == "core" else group, resource))
        covered.add(GroupResource(group, resource))
        paths.append(((group, version), resource))
        for item in listing.get("items") or ():
            if not revision_of(item.get("metadata") or {}):
                continue  # not stored: computed when it is asked for, as componentstatuses are
            shaped = {"apiVersion": listing.get("apiVersion"), "kind": listing.get("kind"), **item}
            objects[_key(group, resource, item)] = shaped
    revision = revision_of(decoded) or _newest(objects)
    return Base(revision, _moment(decoded.get("time")), objects, frozenset(covered), tuple(paths))


def _of_list(items: list[Any], meta: Object, scheme: Scheme) -> Base:
    """A kubectl List mixes kinds, and may be of one namespace: what it lacks may exist all the same."""
    objects: dict[Key, Object] = {}
    known = {
        (version.kind.group, version.kind.kind): one.stored_as
        for one in scheme.definitions.values()
        for version in one.versions.values()
    }
    custom = {
        (crd["spec"]["group"], crd["spec"]["names"]["kind"]): crd["spec"]["names"]["plural"]
        for crd in items
        if crd.get("kind") == "CustomResourceDefinition"
    }
    for item in items:
        if not revision_of(item.get("metadata") or {}):
            continue
        group, kind = split_api_version(item.get("apiVersion") or "")[0], item.get("kind") or ""
        resource = known.get((group, kind)) or GroupResource(group, custom.get((group, kind)) or kind.lower() + "s")
        objects[_key(*resource, item)] = item
    return Base(revision_of(meta) or _newest(objects), 0, objects, frozenset())


def _moment(text: Any) -> int:
    try:
        return micros(text) if isinstance(text, str) else 0
    except Unusable:
        return 0


def _key(group: str, resource: str, item: Object) -> Key:
    meta = item.get("metadata") or {}
    return Key(group, resource, meta.get("namespace") or "", meta.get("name") or "")


def _newest(objects: dict[Key, Object]) -> int:
    return max((revision_of(item["metadata"]) for item in objects.values()), default=0)
