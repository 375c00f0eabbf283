"""The APIServices that lead to extension servers, and what those servers say of themselves.

The index follows the log commit by commit: a request is passed on, or no longer, with the first answer after the write.
What a server publishes (discovery, OpenAPI) is fetched by a controller and kept here for whoever answers from it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.api import Entry
from ledger.scheme.remote import RemoteVersion

RESOURCE = GroupResource("apiregistration.k8s.io", "apiservices")
LEGACY = "v1."  # the APIService of the core group
GroupVersion = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ApiService:
    """One with a service behind it."""

    name: str
    group: str
    version: str
    group_priority: int
    version_priority: int
    namespace: str  # of the Service
    service: str
    port: int
    ca: bytes  # PEM
    insecure: bool
    available: bool

    @property
    def server_name(self) -> str:
        """What the certificate of the extension server is for."""
        return f"{self.service}.{self.namespace}.svc"

    @property
    def root(self) -> str:
        """Where its discovery is."""
        return f"/api/{self.version}" if self.name == LEGACY else f"/apis/{self.group}/{self.version}"


@dataclass(slots=True)
class Published:
    """What an extension server told of itself, for one APIService."""

    resources: tuple[dict[str, Any], ...] = ()  # as aggregated discovery has them
    current: bool = False  # the last time it was asked it answered
    openapi_v3: dict[str, str] = field(default_factory=dict)  # "apis/GROUP/VERSION" -> its URL with the hash
    openapi_v2: Object | None = None  # the paths below its root, and all definitions


class ApiServices:
    """Fill it with `load`, keep it true with `follow`."""

    def __init__(self) -> None:
        self.remote: dict[GroupVersion, ApiService] = {}
        self._published: dict[str, Published] = {}
        self._changes = 0
        self._versions: tuple[int, tuple[RemoteVersion, ...]] = (-1, ())

    def load(self, objects: Iterable[tuple[Key, Object]]) -> None:
        for key, found in objects:
            self._set(key.name, found)

    def follow(self, entries: Sequence[Entry]) -> None:
        """A listener of the engine."""
        for entry in entries:
            for change in entry.changes:
                if change.key.resource == RESOURCE.resource and change.key.group == RESOURCE.group:
                    self._set(change.key.name, None if change.body is None else orjson.loads(change.body))

    def _set(self, name: str, found: Object | None) -> None:
        version, _, group = name.partition(".")
        service = None if found is None else api_service_of(name, found)
        before = self.remote.get((group, version))
        if service is None:
            self.remote.pop((group, version), None)
            self._published.pop(name, None)
        else:
            self.remote[group, version] = service
            self._published.setdefault(name, Published())
        if service != before:
            self._changed()

    def _changed(self) -> None:
        self._changes += 1

    def __bool__(self) -> bool:
        return bool(self.remote)

    def of_path(self, path: str) -> ApiService | None:
        """Whom a request to this path is passed on to; None: it is answered here."""
        if not self.remote:
            return None
        parts = path.split("/", 4)
        if len(parts) > 3 and parts[1] == "apis":
            return self.remote.get((parts[2], parts[3]))
        if len(parts) > 1 and parts[1] == "api":
            return self.remote.get(("", "v1"))
        return None

    def named(self, name: str) -> ApiService | None:
        version, _, group = name.partition(".")
        return self.remote.get((group, version))

    def behind(self, namespace: str, service: str = "") -> list[str]:
        """The APIServices that lead to a Service, or to any of a namespace."""
        return [one.name for one in self.remote.values() if one.namespace == namespace and service in ("", one.service)]

    def published(self, name: str) -> Published:
        """To be read only; `publish` changes it."""
        return self._published.get(name) or Published()

    def publish(self, name: str, published: Published) -> None:
        """Takes in what a server told; one whose APIService is gone meanwhile is forgotten."""
        if name in self._published and self._published[name] != published:
            self._published[name] = published
            self._changed()

    def versions(self) -> tuple[RemoteVersion, ...]:
        """For discovery: the same tuple until something changes."""
        if self._versions[0] != self._changes:
            found = []
            for service in self.remote.values():
                told = self.published(service.name)
                priorities = service.group_priority, service.version_priority
                found.append(RemoteVersion(service.group, service.version, *priorities, told.resources, told.current))
            self._versions = (self._changes, tuple(sorted(found, key=lambda one: (one.group, one.version))))
        return self._versions[1]

    def documents(self) -> tuple[tuple[ApiService, Object], ...]:
        """OpenAPI v2 of every server that has any, by priority."""
        found = [(one, self.published(one.name).openapi_v2) for one in self.remote.values()]
        told = [(one, document) for one, document in found if document is not None]
        return tuple(sorted(told, key=lambda pair: (-pair[0].group_priority, pair[0].group, -pair[0].version_priority)))

    def v3_addresses(self) -> dict[str, str]:
        """OpenAPI v3: name of the document -> its URL."""
        return {name: url for told in self._published.values() for name, url in told.openapi_v3.items()}

    def v3_server(self, document: str) -> ApiService | None:
        """Who has this OpenAPI v3 document."""
        for name, told in self._published.items():
            if document in told.openapi_v3:
                return self.named(name)
        return None

    @property
    def changes(self) -> int:
        """Grows with every change."""
        return self._changes


def api_service_of(name: str, found: Object) -> ApiService | None:
    """None for an APIService of what is served here."""
    spec = found.get("spec") or {}
    service = spec.get("service")
    if not service:
        return None
    conditions = (found.get("status") or {}).get("conditions") or ()
    return ApiService(
        name,
        spec.get("group", ""),
        spec.get("version", ""),
        spec.get("groupPriorityMinimum", 0),
        spec.get("versionPriority", 0),
        service.get("namespace", ""),
        service.get("name", ""),
        service.get("port") or 443,
        _decoded(spec.get("caBundle") or ""),
        bool(spec.get("insecureSkipTLSVerify")),
        any(one.get("type") == "Available" and one.get("status") == "True" for one in conditions),
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
