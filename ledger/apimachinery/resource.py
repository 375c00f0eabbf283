"""Names of kinds, resources and objects."""

from __future__ import annotations

from typing import Any, NamedTuple, NewType

ResourceVersion = NewType("ResourceVersion", int)
Object = dict[str, Any]  # a Kubernetes object as decoded JSON: unknown fields must survive a round trip
Schema = dict[
    str, Any
]  # an OpenAPI v3 schema with x-kubernetes-* keys; every $ref is replaced by the dict it names, so it may be cyclic


def api_version(group: str, version: str) -> str:
    """The apiVersion an object carries: "v1", "apps/v1"."""
    return f"{group}/{version}" if group else version


def split_api_version(text: str) -> tuple[str, str]:
    """(group, version) of an apiVersion: ("", "v1"), ("apps", "v1")."""
    group, _, version = text.rpartition("/")
    return group, version


class GVK(NamedTuple):
    """A kind in a version of a group."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class GVR(NamedTuple):
    """A resource (the plural in the URL) in a version of a group."""

    group: str
    version: str
    resource: str

    @property
    def api_version(self) -> str:
        return api_version(self.group, self.version)


class GroupResource(NamedTuple):
    """A resource whatever its version: what objects are stored under."""

    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


class Key(NamedTuple):
    """Where one object is stored; independent of API versions."""

    group: str
    resource: str
    namespace: str  # empty: cluster-scoped
    name: str

    def encode(self) -> bytes:
        """Bytes that sort by group/resource, then namespace, then name, as lists are sorted."""
        return f"{self.group}/{self.resource}\0{self.namespace}\0{self.name}".encode()

    @classmethod
    def decode(cls, raw: bytes) -> Key:
        kind, namespace, name = raw.decode().split("\0")
        group, _, resource = kind.rpartition("/")
        return cls(group, resource, namespace, name)
