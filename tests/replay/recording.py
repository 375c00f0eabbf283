"""A hand-made audit log: each method appends one record as kube-apiserver 1.37 writes it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import orjson

from ledger.apimachinery.resource import Key
from ledger.apimachinery.times import rfc3339_micro
from ledger.log.api import Entry
from ledger.log.event import Change
from ledger.projections.store import Store
from ledger.replay.importer.base import Base, read_base
from ledger.replay.importer.report import Report
from ledger.replay.importer.run import import_log
from ledger.replay.importer.stored import State, apply_change
from ledger.scheme.scheme import builtin

START = 1_763_846_160_000_000  # 2025-11-22T21:16:00Z
KINDS = {
    "configmaps": ("", "v1", "ConfigMap"),
    "pods": ("", "v1", "Pod"),
    "nodes": ("", "v1", "Node"),
    "events": ("", "v1", "Event"),
    "namespaces": ("", "v1", "Namespace"),
    "secrets": ("", "v1", "Secret"),
    "serviceaccounts": ("", "v1", "ServiceAccount"),
    "deployments": ("apps", "v1", "Deployment"),
    "replicasets": ("apps", "v1", "ReplicaSet"),
    "services": ("", "v1", "Service"),
    "endpointslices": ("discovery.k8s.io", "v1", "EndpointSlice"),
    "jobs": ("batch", "v1", "Job"),
    "leases": ("coordination.k8s.io", "v1", "Lease"),
    "widgets": ("acme.example.com", "v1", "Widget"),
    "customresourcedefinitions": ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
}
STATUS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


def obj(resource: str, name: str, rv: int | None, namespace: str = "shop", **parts: Any) -> dict[str, Any]:
    """An object; keyword `meta` adds to metadata, the others are its members."""
    group, version, kind = KINDS[resource]
    meta = {"name": name, "uid": f"uid-{name}"}
    if namespace:
        meta["namespace"] = namespace
    if rv is not None:
        meta["resourceVersion"] = str(rv)
    meta |= parts.pop("meta", {})
    return {"apiVersion": f"{group}/{version}" if group else version, "kind": kind, "metadata": meta, **parts}


class Recording:
    """Records one second apart, unless `at` (seconds since the start) says otherwise."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def add(
        self,
        verb: str,
        resource: str,
        name: str = "",
        *,
        answer: Any = None,
        request: Any = None,
        code: int = 0,
        user: str = "alice",
        namespace: str = "shop",
        subresource: str = "",
        query: str = "",
        level: str = "RequestResponse",
        at: float | None = None,
        took: float = 0.01,
        **more: Any,
    ) -> dict[str, Any]:
        group, version, _ = KINDS[resource]
        received = START + int((len(self.records) if at is None else at) * 1_000_000)
        prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        parts = [f"namespaces/{namespace}" if namespace else "", resource, name, subresource]
        uri = "/".join([prefix, *filter(None, parts)]) + (f"?{query}" if query else "")
        reference = {"resource": resource, "namespace": namespace, "name": name, "apiGroup": group}
        reference |= {"apiVersion": version, "subresource": subresource} | more.pop("ref", {})
        record: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": level,
            "auditID": str(uuid.uuid5(uuid.NAMESPACE_OID, str(len(self.records)))),
            "stage": "ResponseComplete",
            "requestURI": uri,
            "verb": verb,
            "user": {"username": user, "groups": ["system:authenticated"]},
            "sourceIPs": ["10.0.0.1"],
            "userAgent": "kubectl/v1.37.2",
            "objectRef": {name: value for name, value in reference.items() if value},
            "responseStatus": {"metadata": {}, "code": code or (201 if verb == "create" else 200)},
        }
        if request is not None and level != "Metadata":
            record["requestObject"] = request
        if answer is not None and level == "RequestResponse":
            record["responseObject"] = answer
        record["requestReceivedTimestamp"] = rfc3339_micro(received)
        record["stageTimestamp"] = rfc3339_micro(received + int(took * 1_000_000))
        record |= more
        self.records.append(record)
        return record

    def create(self, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
        meta = answer["metadata"]
        request = {**answer, "metadata": {k: v for k, v in meta.items() if k not in ("uid", "resourceVersion")}}
        resource = next(name for name, (_, _, kind) in KINDS.items() if kind == answer["kind"])
        given: dict[str, Any] = {"answer": answer, "request": request, "namespace": meta.get("namespace", "")}
        return self.add("create", resource, meta["name"], **(given | more))

    def update(self, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self._answered("update", answer, more)

    def patch(self, answer: dict[str, Any], request: Any, **more: Any) -> dict[str, Any]:
        return self._answered("patch", answer, {"request": request, **more})

    def _answered(self, verb: str, answer: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        meta = answer["metadata"]
        resource = next(name for name, (_, _, kind) in KINDS.items() if kind == answer["kind"])
        given: dict[str, Any] = {"answer": answer, "request": answer, "namespace": meta.get("namespace", "")}
        return self.add(verb, resource, meta["name"], **(given | more))

    def write(self, path: Path) -> str:
        path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in self.records))
        return str(path)

    def imported(self, tmp_path: Path, base: dict[str, Any] | None = None) -> Imported:
        return Imported([self.write(tmp_path / "audit.jsonl")], _base(tmp_path, base))


def _base(tmp_path: Path, base: dict[str, Any] | None) -> Base | None:
    if base is None:
        return None
    path = tmp_path / "base.json"
    path.write_bytes(orjson.dumps(base))
    return read_base(str(path), builtin())


class Imported:
    """An import's entries, and the states they fold to."""

    def __init__(self, paths: list[str], base: Base | None = None) -> None:
        self.report: Report
        self.report, entries = import_log(paths, base, builtin())
        self.entries: list[Entry] = list(entries)
        changes = [change for entry in self.entries for change in entry.changes]
        self.changes: list[Change] = sorted(changes, key=lambda change: change.revision)

    def at(self, revision: int) -> State:
        state: State = {}
        for change in self.changes:
            if change.revision <= revision:
                apply_change(state, change)
        return state

    def show(self, resource: str, name: str, revision: int = 1 << 60, namespace: str = "shop") -> dict[str, Any] | None:
        """The object at a revision as a client would see it, without its kind; None: it is not there."""
        known = self.at(revision).get(Key(KINDS[resource][0], resource, namespace, name))
        if known is None:
            return None
        shown = known.decoded()
        shown["metadata"]["resourceVersion"] = str(known.revision)
        return shown

    def lines(self) -> list[str]:
        """Each change in a line: `5 configmaps/a put`, `7 configmaps/a gone inferred`."""
        return [
            f"{change.revision} {change.key.resource}/{change.key.name} "
            + " ".join(filter(None, ["gone" if change.body is None else "put", change.confidence]))
            for change in self.changes
        ]

    def stored(self, store: Store) -> Store:
        store.append_imported(self.entries)
        return store
