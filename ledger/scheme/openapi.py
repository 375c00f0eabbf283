"""OpenAPI v3 documents: /openapi/v3 lists them, each describes one group-version.

A document is the recorded paths of a built-in group-version, or paths made by rule (openapi_paths), and every schema
they lead to. Its hash, which is part of its address, is upstream's for a document that says what upstream's says, so
that clients can keep what they cached, and a hash of its own bytes otherwise.
"""

from __future__ import annotations

import functools
import hashlib
import lzma
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from ledger.apimachinery.resource import Schema
from ledger.scheme import prose
from ledger.scheme.builtin import group_versions
from ledger.scheme.data_files import data_file, load_json
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.openapi_custom import custom_list_schema, custom_schema, schema_names
from ledger.scheme.openapi_paths import META, paths_of
from ledger.scheme.schemas import PREFIX, raw_schemas
from ledger.scheme.scheme import Scheme

# Documents that describe no resource and are always there.
ALWAYS = (".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version")
_SECURITY = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}
# Their list of kinds has an entry for the group-version of the document they stand in.
_IN_EVERY_GROUP = (META + "DeleteOptions", META + "WatchEvent")


class Document(NamedTuple):
    """A document as it is sent."""

    body: bytes
    hash: str  # upper-case hexadecimal; "-PLAIN" behind upstream's hash where the descriptions are missing


def names(scheme: Scheme) -> list[str]:
    """The documents there are: "api/v1", "apis/apps", "apis/apps/v1", "version", ..."""
    recorded = _recorded()["paths"]
    found = list(ALWAYS)
    for group in scheme.groups():
        if f"apis/{group.name}" in recorded:
            found.append(f"apis/{group.name}")
        prefix = f"apis/{group.name}" if group.name else "api"
        found += [f"{prefix}/{version}" for version in group.versions]
    return sorted(found)


@functools.lru_cache(maxsize=4)
def index(scheme: Scheme) -> bytes:
    """/openapi/v3: where each document is."""
    paths = {name: {"serverRelativeURL": url(name, address(scheme, name))} for name in names(scheme)}
    return orjson.dumps({"paths": paths})


def url(name: str, hash: str) -> str:
    return f"/openapi/v3/{name}?hash={hash}"


def address(scheme: Scheme, name: str) -> str:
    """The hash of a document that exists. Cheap for a built-in that is served as upstream serves it."""
    return _hash(_subject(scheme, name))


def document(scheme: Scheme, name: str) -> Document | None:
    """One document; None when there is none of this name."""
    if name not in names(scheme):
        return None
    subject = _subject(scheme, name)
    return Document(_body(subject), _hash(subject))


class Subject:
    """What a document is about: equal, and so built once, as long as the very same definitions are served."""

    __slots__ = ("_identity", "group", "name", "served", "version")

    def __init__(self, name: str, served: list[tuple[ResourceDefinition, Version]]) -> None:
        self.name, self.served = name, served
        self.group, self.version = _group_version(name)
        self._identity = (name, *(id(definition) for definition, _ in served))

    def __hash__(self) -> int:
        return hash(self._identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subject) and self._identity == other._identity


def _subject(scheme: Scheme, name: str) -> Subject:
    group, version = _group_version(name)
    return Subject(name, scheme.resources(group, version) if version else [])


@functools.lru_cache(maxsize=4096)
def _hash(subject: Subject) -> str:
    known = _recorded()["hashes"].get(subject.name)
    if known and _is_whole(subject):
        return known if prose.descriptions() else f"{known}-PLAIN"
    return hashlib.sha512(_body(subject)).hexdigest().upper()


@functools.lru_cache(maxsize=32)
def _body(subject: Subject) -> bytes:
    return go_json(_built(subject))


def go_json(value: Any) -> bytes:
    """JSON as Go's encoding/json writes it: <, > and & escaped."""
    raw = orjson.dumps(value)
    for char, escape in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        raw = raw.replace(char, escape)
    return raw


def build(scheme: Scheme, name: str) -> dict[str, Any] | None:
    """The document as an object."""
    return _built(_subject(scheme, name)) if name in names(scheme) else None


def _built(subject: Subject) -> dict[str, Any]:
    paths, schemas = _parts(subject)
    referenced = collect(paths, schemas)
    only_custom = bool(subject.served) and all(definition.custom for definition, _ in subject.served)
    for always in _IN_EVERY_GROUP:
        if always in referenced:
            kinds = registered(always) if only_custom else _kinds(always, subject.group, subject.version)
            referenced[always] = {**referenced[always], "x-kubernetes-group-version-kind": kinds}
    components: dict[str, Any] = {"schemas": referenced} if referenced else {}
    info = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
    if not only_custom:
        components["securitySchemes"] = _SECURITY
        info = {"title": "Kubernetes", "version": load_json("resources.json")["kubernetes"].rpartition(".")[0]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": components}


def _parts(subject: Subject) -> tuple[dict[str, Any], dict[str, Schema]]:
    """The paths of a document, and every schema they may refer to, built-ins without their descriptions."""
    recorded = _recorded()["paths"].get(subject.name, {})
    schemas = dict(raw_schemas())
    by_rule = [(definition, one) for definition, one in subject.served if definition.custom or not recorded]
    if subject.version:
        resources = {definition.resource for definition, _ in subject.served if not definition.custom}
        recorded = {path: item for path, item in recorded.items() if _resource_of(path) in resources | {""}}
    paths = {path: _expanded(item) for path, item in recorded.items()}
    for definition, one in by_rule:
        schema, schema_list = schema_names(definition, one)
        paths |= paths_of(definition, one, schema, schema_list, _parameter)
        if definition.custom:
            schemas[schema] = custom_schema(definition, one)
            schemas[schema_list] = custom_list_schema(definition, one, schema)
    return dict(sorted(paths.items())), schemas


def collect(paths: Any, schemas: dict[str, Schema]) -> dict[str, Schema]:
    """Every schema that the paths lead to, by name, with descriptions where there are some."""
    found: dict[str, Schema] = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = prose.describe(name, schemas[name])
            waiting += _references(found[name])
    return dict(sorted(found.items()))


def _references(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference[len(PREFIX) :]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


@functools.cache
def _recorded() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(lzma.decompress(data_file("openapi.json.xz").read_bytes()))
    return found


@functools.cache
def _model_parameters() -> dict[tuple[str, str], dict[str, Any]]:
    """(action, name) -> query parameter, as a recorded resource has it; "" is the action of what all share."""
    recorded = _recorded()["paths"]["api/v1"]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in ("/api/v1/namespaces/{namespace}/configmaps", "/api/v1/namespaces/{namespace}/configmaps/{name}"):
        item = _expanded(recorded[path])
        operations = [one for one in item.values() if isinstance(one, dict)]
        for operation in [*operations, {"x-kubernetes-action": "", "parameters": item["parameters"]}]:
            for one in operation.get("parameters", ()):
                found[operation["x-kubernetes-action"], one["name"]] = one
    return found


def _parameter(action: str, name: str) -> dict[str, Any]:
    model = _model_parameters()
    return model.get((action, name)) or model.get(("list", name)) or model["", name]


def _expanded(item: dict[str, Any]) -> dict[str, Any]:
    """A recorded path item or operation with its parameters in place of their indices."""
    parameters = _recorded()["parameters"]
    return {
        key: [parameters[index] for index in value]
        if key == "parameters"
        else (_expanded(value) if isinstance(value, dict) and "responses" in value else value)
        for key, value in item.items()
    }


def _group_version(name: str) -> tuple[str, str]:
    """("apps", "v1") of "apis/apps/v1", ("", "v1") of "api/v1", and no version of any other name."""
    segments = name.split("/")
    if segments[0] == "api" and len(segments) == 2:
        return "", segments[1]
    if segments[0] == "apis" and len(segments) == 3:
        return segments[1], segments[2]
    return "", ""


def _resource_of(path: str) -> str:
    """ "pods" of /api/v1/watch/namespaces/{namespace}/pods/{name}; "" of /api/v1/."""
    segments = path.strip("/").split("/")
    rest = segments[2:] if segments[0] == "api" else segments[3:]
    rest = rest[1:] if rest[:1] == ["watch"] else rest
    if rest[:2] == ["namespaces", "{namespace}"]:
        rest = rest[2:]
    return rest[0] if rest else ""


def _is_whole(subject: Subject) -> bool:
    """Whether this group-version is served exactly as recorded."""
    if not subject.version:
        return True
    recorded = {_resource_of(path) for path in _recorded()["paths"][subject.name]} - {""}
    return recorded == {definition.resource for definition, _ in subject.served}


def _kinds(name: str, group: str, version: str) -> list[dict[str, str]]:
    kind = name.rpartition(".")[2]
    kinds = [{"group": "", "kind": kind, "version": "v1"}]
    if group:
        kinds.append({"group": group, "kind": kind, "version": version})
    return kinds


# Group-versions of other schemes than the one that the documents of custom resources are made from.
ELSEWHERE = frozenset(
    {
        ("admission.k8s.io", "v1"),
        ("admission.k8s.io", "v1beta1"),
        ("apiextensions.k8s.io", "v1"),
        ("apiextensions.k8s.io", "v1beta1"),
        ("apiregistration.k8s.io", "v1"),
        ("apiregistration.k8s.io", "v1beta1"),
        ("imagepolicy.k8s.io", "v1alpha1"),
    }
)


def registered(name: str, more: Iterable[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """The kind in every group-version that is compiled into kube-apiserver, and in `more`."""
    kind = name.rpartition(".")[2]
    known = {one for one in group_versions() if one not in ELSEWHERE and one != ("batch", "v2alpha1")}
    return [{"group": group, "kind": kind, "version": version} for group, version in sorted(known | {*more})]
