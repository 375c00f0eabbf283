"""From a CustomResourceDefinition object to what every other room knows a resource by."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from ledger.apimachinery.resource import GVK, Object, Schema
from ledger.scheme.builtin import load_columns
from ledger.scheme.definition import Column, ResourceDefinition, ScalePaths, Subresource, Traits, Version
from ledger.scheme.schemas import resolved_definitions
from ledger.scheme.scheme import kube_version_key

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
VERBS_WHEN_TERMINATING = ("delete", "deletecollection", "get", "list", "watch")
_SUBRESOURCE_VERBS = ("get", "patch", "update")
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_SCALE = GVK("autoscaling", "v1", "Scale")


def definition_of(crd: Object) -> ResourceDefinition | None:
    """The resource that a definition makes; None until it is Established (its names are accepted, once and for all)."""
    status = crd.get("status") or {}
    names = status.get("acceptedNames") or {}
    if not condition_is_true(crd, "Established") or not all(
        names.get(name) for name in ("plural", "singular", "kind", "listKind")
    ):
        return None
    spec = crd["spec"]
    versions = spec.get("versions") or []
    storage = next((one["name"] for one in versions if one.get("storage")), None)
    if storage is None:
        return None
    fields = [path for one in versions for path in _selectable(one)]
    return ResourceDefinition(
        group=spec["group"],
        resource=names["plural"],
        singular=names["singular"],
        kind=names["kind"],
        list_kind=names["listKind"],
        namespaced=spec.get("scope") == "Namespaced",
        verbs=VERBS,
        versions={one["name"]: _version(spec, names["kind"], one, storage) for one in versions},
        storage_version=storage,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        traits=_traits(crd, tuple(dict.fromkeys(fields))),
        custom=True,
    )


def condition(crd: Object, kind: str) -> dict[str, Any] | None:
    """The status condition of this type."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), None)


def condition_is_true(crd: Object, kind: str) -> bool:
    found = condition(crd, kind)
    return found is not None and found.get("status") == "True"


def _traits(crd: Object, stored_fields: tuple[str, ...]) -> Traits:
    spec = crd["spec"]
    terminating = condition_is_true(crd, "Terminating")
    more: dict[str, Any] = {
        "fieldLabelError": "field label not supported: {label}",
        "conversion": spec.get("conversion") or {"strategy": "None"},
        "definition": crd["metadata"]["name"],
        "stored_fields": stored_fields,
    }
    if spec.get("scope") != "Namespaced":
        more["fieldLabelsWithoutNamespace"] = True
    if terminating or "deletionTimestamp" in crd["metadata"]:
        more["terminating"] = True
    if terminating:
        more["discovery_verbs"] = VERBS_WHEN_TERMINATING
    has_status = any("status" in (one.get("subresources") or {}) for one in spec["versions"])
    return Traits(has_status=has_status, tracks_generation=True, unconditional_update=False, more=more)


def _version(spec: Object, kind: str, raw: dict[str, Any], storage: str) -> Version:
    group, name = spec["group"], raw["name"]
    gvk = GVK(group, name, kind)
    schema: Schema | None = (raw.get("schema") or {}).get("openAPIV3Schema")
    subresources = raw.get("subresources") or {}
    offered = {}
    if subresources.get("status") is not None:
        offered["status"] = Subresource("status", gvk, _SUBRESOURCE_VERBS)
    if subresources.get("scale") is not None:
        offered["scale"] = Subresource("scale", _SCALE, _SUBRESOURCE_VERBS)
    return Version(
        name=name,
        kind=gvk,
        served=bool(raw.get("served")),
        schema=None if schema is None else whole_schema(schema),
        columns=_columns(raw),
        subresources=offered,
        scale=_scale_paths(subresources["scale"]) if "scale" in offered else None,
        selectable_fields=_selectable(raw),
        deprecation_warning=_deprecation(spec, raw) if raw.get("deprecated") else "",
        storage_version_hash=storage_version_hash(group, storage, spec["names"]["kind"]),
        structural=schema,
    )


def whole_schema(schema: Schema) -> Schema:
    """A definition's schema with the fields that every object has."""
    meta = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": resolved_definitions()[_META]}
    return {**schema, "properties": {**(schema.get("properties") or {}), **meta}}


def storage_version_hash(group: str, version: str, kind: str) -> str:
    """What discovery says of the version objects are stored in (discovery.StorageVersionHash)."""
    return base64.b64encode(hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()[:8]).decode()


def _scale_paths(scale: dict[str, Any]) -> ScalePaths:
    return ScalePaths(
        (scale.get("specReplicasPath") or "").removeprefix("."),
        (scale.get("statusReplicasPath") or "").removeprefix("."),
        (scale.get("labelSelectorPath") or "").removeprefix("."),
    )


def _selectable(raw: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one["jsonPath"].removeprefix(".") for one in raw.get("selectableFields") or ())


def _columns(raw: dict[str, Any]) -> tuple[Column, ...]:
    name, age = _standard_columns()
    given = raw.get("additionalPrinterColumns")
    if not given:
        return name, age
    return (
        name,
        *(
            Column(
                one.get("name", ""),
                one.get("type", ""),
                one.get("format", ""),
                one.get("description")
                or f"Custom resource definition column (in JSONPath format): {one.get('jsonPath', '')}",
                one.get("priority", 0),
                one.get("jsonPath", ""),
            )
            for one in given
        ),
    )


@cache
def _standard_columns() -> tuple[Column, Column]:
    """Name and Age, described as those of built-in kinds."""
    described = {column.name: column.description for column in load_columns()["v1/configmaps"]}
    name = Column("Name", "string", "name", described["Name"])
    return name, Column("Age", "date", "", described["Age"], 0, ".metadata.creationTimestamp")


def _deprecation(spec: Object, raw: dict[str, Any]) -> str:
    """What a client of a deprecated version is warned of."""
    if raw.get("deprecationWarning") is not None:
        return str(raw["deprecationWarning"])
    group, kind, name = spec["group"], spec["names"]["kind"], raw["name"]
    better = [
        one["name"]
        for one in spec["versions"]
        if one.get("served") and not one.get("deprecated") and kube_version_key(one["name"]) > kube_version_key(name)
    ]
    text = f"{group}/{name} {kind} is deprecated"
    return f"{text}; use {group}/{max(better, key=kube_version_key)} {kind}" if better else text
