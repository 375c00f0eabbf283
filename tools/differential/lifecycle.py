"""The life of one kind as a row of steps: create, read in every form, change, apply, get it wrong, delete.

A kind is described by data (kinds/*.yaml); the keys of such a description are those of `Kind`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from exchange import JSON, Step, merged

Object = dict[str, Any]

TABLE = {"accept": f"{JSON};as=Table;v=v1;g=meta.k8s.io"}
PARTIAL = {"accept": f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
PARTIAL_LIST = {"accept": f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
MERGE = {"content-type": "application/merge-patch+json"}
STRATEGIC = {"content-type": "application/strategic-merge-patch+json"}
JSON_PATCH = {"content-type": "application/json-patch+json"}
APPLY = {"content-type": "application/apply-patch+yaml"}


@dataclass(frozen=True, slots=True)
class Kind:
    resource: str
    api_version: str
    kind: str
    min: Object
    rich: Object
    namespaced: bool = True
    name: str = "{}"  # how the names of objects look, where they are not free
    before: list[list[Any]] = field(default_factory=list)  # [path, object]: what must exist first
    content: Object | None = None  # a merge patch of what may change
    strategic: Object | None = None
    apply: Object | None = None  # what a second manager wants; default: `content`
    frozen: dict[str, Object] = field(default_factory=dict)  # merge patches of what may not change
    status: Object | None = None
    status_bad: dict[str, Object] = field(default_factory=dict)
    scale: bool = False
    settles: bool = False  # a controller of the server itself writes to it, a moment later
    selectors: list[str] = field(default_factory=list)
    mistakes: dict[str, Object] = field(default_factory=dict)  # merge patches onto `min`
    variants: dict[str, Object] = field(default_factory=dict)  # merge patches onto `min` that are right

    @property
    def namespace(self) -> str:
        return f"diff-{self.resource}" if self.namespaced else ""

    @property
    def root(self) -> str:
        return ("/apis/" if "/" in self.api_version else "/api/") + self.api_version

    @property
    def path(self) -> str:
        return self.root + (f"/namespaces/{self.namespace}" if self.namespaced else "") + f"/{self.resource}"

    @property
    def label(self) -> dict[str, str]:
        return {"labelSelector": f"diff={self.resource}"}

    def called(self, name: str) -> str:
        return self.name.format(name if self.namespaced else f"diff-{self.resource}-{name}")

    def at(self, name: str, subresource: str = "") -> str:
        return f"{self.path}/{self.called(name)}" + (f"/{subresource}" if subresource else "")

    def made(self, name: str, content: Object, **metadata: Any) -> Object:
        """An object of the kind; metadata in `content` is kept."""
        own: Object = {"name": self.called(name), "labels": {"diff": self.resource, "tier": name}}
        if self.namespaced:
            own["namespace"] = self.namespace
        head = {"apiVersion": self.api_version, "kind": self.kind, "metadata": own | metadata}
        return merged(head, copy.deepcopy(content))


def steps(kind: Kind) -> Iterator[Step]:
    yield from preparations(kind)
    yield from creation(kind)
    yield from reading(kind)
    yield from changing(kind)
    yield from applying(kind)
    if kind.status is not None:
        yield from status(kind)
    if kind.scale:
        yield from scaling(kind)
    yield from mistakes(kind)
    yield from deletion(kind)


def preparations(kind: Kind) -> Iterator[Step]:
    if kind.namespaced:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kind.namespace}}
        yield Step("namespace", "POST", "/api/v1/namespaces", body)
        account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
        yield Step("account", "POST", f"/api/v1/namespaces/{kind.namespace}/serviceaccounts", account)
    for path, body in kind.before:
        yield Step(f"before {path}", "POST", path, body)


def creation(kind: Kind) -> Iterator[Step]:
    small, rich = kind.made("min", kind.min), kind.made("rich", kind.rich)
    yield Step("dry-run create", "POST", kind.path, small, query={"dryRun": "All"})
    yield Step("nothing was stored", "GET", kind.at("min"))
    yield Step("create min", "POST", kind.path, small)
    yield Step("create again", "POST", kind.path, small)
    yield Step("create rich", "POST", kind.path, rich, query={"fieldManager": "creator"})
    yield Step("create rich again", "POST", kind.path, rich, query={"dryRun": "All"})
    for name, patch in kind.variants.items():
        body = kind.made("bad", merged(copy.deepcopy(kind.min), patch))
        yield Step(f"variant: {name}", "POST", kind.path, body, query={"dryRun": "All"})


def reading(kind: Kind) -> Iterator[Step]:
    rich = kind.at("rich")
    yield Step("read", "GET", rich)
    yield Step("as a Table", "GET", rich, headers=TABLE)
    yield Step("as PartialObjectMetadata", "GET", rich, headers=PARTIAL)
    yield Step("an object as a list type", "GET", rich, headers=PARTIAL_LIST)
    yield Step("as YAML", "GET", rich, headers={"accept": "application/yaml"})
    yield Step("as protobuf", "GET", rich, headers={"accept": "application/vnd.kubernetes.protobuf"})
    yield Step("list", "GET", kind.path, query=kind.label)
    yield Step("list as a Table", "GET", kind.path, query=kind.label, headers=TABLE)
    yield Step("Table, no objects", "GET", kind.path, query=kind.label | {"includeObject": "None"}, headers=TABLE)
    yield Step("Table, objects", "GET", kind.path, query=kind.label | {"includeObject": "Object"}, headers=TABLE)
    yield Step("list as partial", "GET", kind.path, query=kind.label, headers=PARTIAL_LIST)
    yield Step("list as YAML", "GET", kind.path, query=kind.label, headers={"accept": "application/yaml"})
    everywhere = f"{kind.root}/{kind.resource}"
    yield Step("list everywhere", "GET", everywhere, query=kind.label)
    yield Step("first page", "GET", everywhere, query=kind.label | {"limit": "1"}, headers=TABLE)
    for labels in (f"diff={kind.resource},tier=rich", f"diff={kind.resource},tier in (min,ssa)"):
        yield Step(f"labels {labels}", "GET", kind.path, query={"labelSelector": labels}, headers=PARTIAL_LIST)
    names = [f"metadata.name={kind.called('min')}", f"metadata.name!={kind.called('min')}", "spec.nothing=x"]
    for fields in [*names, *kind.selectors]:
        query = kind.label | {"fieldSelector": fields}
        yield Step(f"fields {fields}", "GET", kind.path, query=query, headers=PARTIAL_LIST)


def changing(kind: Kind) -> Iterator[Step]:
    rich = kind.at("rich")

    def labelled(step: str) -> Object:
        return {"metadata": {"labels": {"step": step}}}

    yield Step("merge-patch a label", "PATCH", rich, labelled("merge"), headers=MERGE)
    yield Step("stale PUT", "PUT", rich, labelled("stale"), base="read")
    yield Step("read 2", "GET", rich)
    yield Step("PUT", "PUT", rich, merged(labelled("put"), {"metadata": {"annotations": {"by": "put"}}}), base="read 2")
    yield Step("read 3", "GET", rich)
    yield Step("PUT unchanged", "PUT", rich, {}, base="read 3")
    yield Step("PUT under another name", "PUT", rich, {"metadata": {"name": "other"}}, base="read 3")
    yield Step("PUT another uid", "PUT", rich, {"metadata": {"uid": "0-0"}}, base="read 3")
    bare = {"metadata": {"resourceVersion": None, "uid": None, "creationTimestamp": None, "managedFields": None}}
    yield Step("PUT without a version", "PUT", rich, bare, base="read 3")
    yield Step("PUT what was created, dry", "PUT", rich, kind.made("rich", kind.rich), query={"dryRun": "All"})
    yield Step(
        "PUT what is not there", "PUT", kind.at("absent"), kind.made("absent", kind.min), query={"dryRun": "All"}
    )
    added = {"op": "add", "path": "/metadata/annotations/json~1patch", "value": "x"}
    patch = [{"op": "test", "path": "/metadata/labels/step", "value": "put"}, added]
    yield Step("json-patch", "PATCH", rich, [*patch, {"op": "remove", "path": "/metadata/annotations/by"}],
               headers=JSON_PATCH)  # fmt: skip
    failing = [{"op": "test", "path": "/metadata/labels/step", "value": "nope"}]
    yield Step("json-patch, test fails", "PATCH", rich, failing, headers=JSON_PATCH)
    annotated = {"metadata": {"annotations": {"sm": "1"}, "finalizers": None}}
    yield Step("strategic", "PATCH", rich, annotated, headers=STRATEGIC)
    if kind.content:
        yield Step("content", "PATCH", rich, kind.content, headers=MERGE)
        yield Step("content again", "PATCH", rich, kind.content, headers=MERGE)
        yield Step("content, wrong field", "PATCH", rich, merged({"nope": 1}, copy.deepcopy(kind.content)),
                   headers=MERGE, query={"fieldValidation": "Strict"})  # fmt: skip
    if kind.strategic:
        yield Step("strategic content", "PATCH", rich, kind.strategic, headers=STRATEGIC)
    for name, frozen in kind.frozen.items():
        yield Step(f"frozen: {name}", "PATCH", rich, frozen, headers=MERGE)


def applying(kind: Kind) -> Iterator[Step]:
    path = kind.at("ssa")

    def apply(about: str, manager: str, body: Object, **query: str) -> Step:
        return Step(about, "PATCH", path, body, query={"fieldManager": manager} | query, headers=APPLY)

    first = kind.made("ssa", kind.rich, annotations={"given-up": "later"})
    yield apply("dry-run apply", "mgr-a", first, dryRun="All")
    yield apply("apply", "mgr-a", first)
    yield apply("apply again", "mgr-a", first)
    only = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": kind.called("ssa")}}
    other = merged(copy.deepcopy(only), {"metadata": {"labels": {"tier": "other", "b": "1"}}})
    yield apply("conflict", "mgr-b", other)
    yield apply("forced", "mgr-b", other, force="true")
    content = kind.apply or kind.content
    if content:
        yield apply("content conflict", "mgr-b", merged(copy.deepcopy(other), content))
        yield apply("content forced", "mgr-b", merged(copy.deepcopy(other), content), force="true")
    yield Step("applied as protobuf", "GET", path, headers={"accept": "application/vnd.kubernetes.protobuf"})
    less = kind.made("ssa", kind.rich, labels={"diff": kind.resource}, annotations={})
    yield apply("first gives up", "mgr-a", less)
    yield apply("second gives up", "mgr-b", only)
    yield apply("no manager", "", only)
    yield apply("unknown field applied", "mgr-c", only | {"nope": 1})
    yield apply("unknown field ignored", "mgr-c", only | {"nope": 1}, fieldValidation="Ignore", dryRun="All")
    yield apply("managedFields applied", "mgr-c", merged(copy.deepcopy(only), {"metadata": {"managedFields": []}}))


def status(kind: Kind) -> Iterator[Step]:
    rich, path = kind.at("rich"), kind.at("rich", "status")
    annotated = {"metadata": {"annotations": {"put": "status"}}}
    yield Step("read status", "GET", path)
    yield Step("patch status", "PATCH", path, annotated | {"status": kind.status}, headers=MERGE)
    yield Step("read 4", "GET", rich)
    yield Step("status as a Table", "GET", rich, headers=TABLE)
    yield Step("PUT no status", "PUT", path, annotated | {"status": None}, base="read 4")
    yield Step("json-patch status", "PATCH", path, [{"op": "add", "path": "/status", "value": kind.status}],
               headers=JSON_PATCH)  # fmt: skip
    yield Step("read 5", "GET", rich)
    yield Step("PUT without status", "PUT", rich, {"status": None}, base="read 5")
    applied = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": kind.called("rich")}}
    yield Step("apply status", "PATCH", path, applied | {"status": kind.status}, headers=APPLY,
               query={"fieldManager": "status-mgr", "force": "true"})  # fmt: skip
    yield Step("create with status", "POST", kind.path, kind.made("bad", kind.min) | {"status": kind.status},
               query={"dryRun": "All"})  # fmt: skip
    for name, bad in kind.status_bad.items():
        yield Step(f"bad status: {name}", "PATCH", path, {"status": bad}, headers=MERGE)


def scaling(kind: Kind) -> Iterator[Step]:
    path = kind.at("rich", "scale")
    yield Step("scale", "GET", path)
    yield Step("scale PUT", "PUT", path, {"spec": {"replicas": 4}}, base="scale")
    yield Step("scale patch", "PATCH", path, {"spec": {"replicas": 5}}, headers=MERGE)
    yield Step("scale below", "PATCH", path, {"spec": {"replicas": -1}}, headers=MERGE)
    yield Step("scaled", "GET", kind.at("rich"))


def mistakes(kind: Kind) -> Iterator[Step]:
    dry = {"dryRun": "All"}
    for name, patch in kind.mistakes.items():
        body = kind.made("bad", merged(copy.deepcopy(kind.min), patch))
        yield Step(f"mistake: {name}", "POST", kind.path, body, query=dry)
    bad = kind.made("bad", kind.min)
    yield Step("invalid name", "POST", kind.path, merged(copy.deepcopy(bad), {"metadata": {"name": "Not_Valid!"}}),
               query=dry)  # fmt: skip
    yield Step("no name", "POST", kind.path, merged(copy.deepcopy(bad), {"metadata": {"name": None}}))
    yield Step("empty", "POST", kind.path, {}, query=dry)
    yield Step("another kind", "POST", kind.path, bad | {"kind": "Wrong"})
    yield Step("another version", "POST", kind.path, bad | {"apiVersion": "wrong/v1"})
    if kind.namespaced:
        elsewhere = merged(copy.deepcopy(bad), {"metadata": {"namespace": "elsewhere"}})
        yield Step("another namespace", "POST", kind.path, elsewhere)
    unknown = merged(copy.deepcopy(bad), {"nope": 1, "metadata": {"nah": {"x": 1}}})
    for level in ("Strict", "Warn", "Ignore"):
        yield Step(f"unknown fields, {level}", "POST", kind.path, unknown, query=dry | {"fieldValidation": level})
    for field_name, content in kind.rich.items():
        wrong = [] if isinstance(content, dict) else {"x": 1}
        yield Step(f"wrong type: {field_name}", "POST", kind.path, bad | {field_name: wrong}, query=dry)


def deletion(kind: Kind) -> Iterator[Step]:
    path = kind.at("min")

    def options(**preconditions: str) -> Object:
        return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}

    yield Step("delete another uid", "DELETE", path, options(uid="00000000-0000-0000-0000-000000000000"))
    yield Step("delete another version", "DELETE", path, options(resourceVersion="1"))
    yield Step("dry-run delete", "DELETE", path, query={"dryRun": "All"})
    yield Step("delete", "DELETE", path)
    yield Step("gone", "GET", path)
    yield Step("delete what is gone", "DELETE", path)
    yield Step("left", "GET", kind.path, query=kind.label, headers=PARTIAL_LIST)
    yield Step("dry-run deletecollection", "DELETE", kind.path, query=kind.label | {"dryRun": "All"})
    yield Step("deletecollection", "DELETE", kind.path, query=kind.label)
    yield Step("nothing left", "GET", kind.path, query=kind.label)


def clearing(kind: Kind) -> Iterator[Step]:
    """What leaves a server as it was, whether or not a run came to its end."""
    yield Step("clear", "DELETE", kind.path, query=kind.label)
    for name in ("min", "rich", "ssa"):
        yield Step("let go", "PATCH", kind.at(name), {"metadata": {"finalizers": None}}, headers=MERGE)
    for path, body in reversed(kind.before):
        yield Step("clear before", "DELETE", f"{path}/{body['metadata']['name']}", {"gracePeriodSeconds": 0})
    if kind.namespaced:
        space = f"/api/v1/namespaces/{kind.namespace}"
        yield Step("clear accounts", "DELETE", f"{space}/serviceaccounts")
        yield Step("clear namespace", "DELETE", space)
        finalized = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kind.namespace}, "spec": {}}
        yield Step("finalize namespace", "PUT", f"{space}/finalize", finalized)
