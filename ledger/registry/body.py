"""Between objects (dict) and the bytes that are stored.

A body is in list-item form: `{"metadata":{...},...}` without apiVersion, kind and metadata.resourceVersion, so that a
GET is a constant prefix plus the stored bytes and a LIST is their join.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from ledger.apimachinery import json_codec
from ledger.apimachinery.resource import GVK, Key, Object, split_api_version
from ledger.apimachinery.status import StatusError
from ledger.log.event import Change
from ledger.projections.api import Stored
from ledger.scheme import protobuf
from ledger.scheme.conversion import stored_kind
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.selectable import builtin_field_values, field_values

OBJECT_BYTES_MAX = 1536 * 1024  # etcd's --max-request-bytes
REQUEST_BYTES = 400  # of one of etcd's transactions besides the object, in round numbers


def key_of(definition: ResourceDefinition, namespace: str, name: str) -> Key:
    group, resource = definition.stored_as
    return Key(group, resource, namespace, name)


# The order in which Go prints ObjectMeta; the revision goes in after the uid.
METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def ordered_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """metadata in Go's order, without the resourceVersion."""
    ordered = {name: metadata[name] for name in METADATA_ORDER if name in metadata}
    if len(ordered) + ("resourceVersion" in metadata) < len(metadata):
        ordered |= {
            name: value for name, value in metadata.items() if name not in ordered and name != "resourceVersion"
        }
    return ordered


def encode_body(obj: Object) -> bytes:
    """The stored form of an object, whatever the order of its keys."""
    body = {"metadata": ordered_metadata(obj["metadata"])}
    for name, value in obj.items():
        if name not in ("apiVersion", "kind", "metadata"):
            body[name] = value
    return json_codec.dumps(body)


def decode(stored: Stored) -> Object:
    """The object in the version it is stored in, kind and apiVersion first."""
    return {"kind": stored.kind, "apiVersion": stored.api_version, **orjson.loads(stored.body)}


class Converted(Stored):
    """What is stored, with the object in the version that a request shows it in."""

    __slots__ = ("obj",)

    def __init__(self, stored: Stored, obj: Object) -> None:
        super().__init__(
            stored.key,
            stored.revision,
            stored.uid,
            stored.api_version,
            stored.kind,
            stored.labels,
            stored.fields,
            stored.body,
        )
        self.obj = obj


def change_of(definition: ResourceDefinition, obj: Object, expect: int | None) -> Change:
    """The Change that stores `obj` (in the storage version)."""
    metadata = obj["metadata"]
    kind = stored_kind(definition)
    return Change(
        key=key_of(definition, metadata.get("namespace", ""), metadata["name"]),
        body=encode_body(obj),
        uid=metadata.get("uid", ""),
        api_version=kind.api_version,
        kind=kind.kind,
        labels=metadata.get("labels") or {},
        fields=_fields(definition, obj),
        expect=expect,
    )


def check_size(change: Change) -> None:
    """StatusError 500, as from etcd, for an object that a real cluster could not keep: more than 1.5 MiB.

    Counted as kube-apiserver stores it, built-in kinds as protobuf. What is above 2 MiB fails with gRPC's words there.
    """
    if change.body is None or len(change.body) <= OBJECT_BYTES_MAX - REQUEST_BYTES:
        return
    gvk = GVK(*split_api_version(change.api_version), change.kind)
    message = protobuf.encode(gvk, orjson.loads(change.body))
    if len(change.body if message is None else message) + REQUEST_BYTES > OBJECT_BYTES_MAX:
        raise StatusError(500, "", "etcdserver: request is too large")


def _fields(definition: ResourceDefinition, obj: Object) -> dict[str, str]:
    """The values of what field selectors may ask for."""
    if not definition.custom:
        return builtin_field_values(definition, obj)
    return {
        label: value
        for version in definition.versions.values()
        for label, value in field_values(definition, version, obj).items()
    }


def removal_of(stored: Stored) -> Change:
    """The Change that deletes what is stored."""
    return Change(
        key=stored.key,
        body=None,
        uid=stored.uid,
        api_version=stored.api_version,
        kind=stored.kind,
        labels=stored.labels,
        fields=stored.fields,
        expect=stored.revision,
    )


@lru_cache(1024)
def prefix_of(api_version: str, kind: str) -> bytes:
    """What stands before `body[1:]` in the answer to a GET."""
    return b'{"kind":"%b","apiVersion":"%b",' % (kind.encode(), api_version.encode())


def version_of(stored: Stored) -> str:
    return split_api_version(stored.api_version)[1]
