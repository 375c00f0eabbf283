"""The schemas that OpenAPI documents show of custom kinds: the CRD's own, with what every object has beside it.

Follows k8s.io/apiextensions-apiserver pkg/controller/openapi/builder.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Schema
from ledger.scheme import prose
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.openapi_paths import META
from ledger.scheme.schemas import PREFIX, raw_schemas


def schema_names(definition: ResourceDefinition, version: Version) -> tuple[str, str]:
    """The definitions of a kind and of its list: ("com.example.v1.Widget", "com.example.v1.WidgetList")."""
    if definition.custom:
        package = ".".join([*reversed(definition.group.split(".")), version.name])
    else:
        package = f"io.k8s.api.{definition.group.partition('.')[0] or 'core'}.{version.name}"
    return f"{package}.{definition.kind}", f"{package}.{definition.list_kind}"


_CONVENTIONS = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"


# Inside of other objects the two have descriptions of their own.
_EMBEDDED: dict[str, Schema] = {
    "apiVersion": {
        "description": "apiVersion defines the versioned schema of this representation of an object."
        f" {_CONVENTIONS}#resources",
        "type": "string",
    },
    "kind": {
        "description": "kind is a string value representing the type of this object. In CamelCase."
        f" {_CONVENTIONS}#types-kinds",
        "type": "string",
    },
}


def _meta_properties(kind: str) -> dict[str, Schema]:
    """apiVersion, kind and metadata as every object (`kind` ObjectMeta) or list (ListMeta) has them."""
    named = "io.k8s.api.core.v1.ConfigMap"
    described = prose.describe(named, raw_schemas()[named])["properties"]
    text = f"Standard object's metadata. {_CONVENTIONS}#metadata"
    if kind == "ListMeta":
        text = f"Standard list metadata. {_CONVENTIONS}#types-kinds"
    metadata = {"description": text, "allOf": [{"$ref": f"{PREFIX}{META}{kind}"}]}
    return {"apiVersion": described["apiVersion"], "kind": described["kind"], "metadata": metadata}


def _selectable(version: Version) -> dict[str, Any]:
    fields = [{"fieldPath": field} for field in version.selectable_fields]
    return {"x-kubernetes-selectable-fields": fields} if fields else {}


def custom_schema(definition: ResourceDefinition, version: Version) -> Schema:
    """The published schema of a custom kind: the CRD's own, with the fields that every object has."""
    given = version.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if given.get("x-kubernetes-preserve-unknown-fields") and not given.get("properties"):
        given = {"type": "object"} | given
    given = _published(given)
    properties = {**given.get("properties", {}), **_meta_properties("ObjectMeta")}
    kind = {"group": definition.group, "kind": definition.kind, "version": version.name}
    return {
        **{key: value for key, value in given.items() if key != "properties"},
        "properties": dict(sorted(properties.items())),
        "x-kubernetes-group-version-kind": [kind],
        **_selectable(version),
    }


def _published(schema: Schema) -> Schema:
    """What a CRD's schema says by extension, said in OpenAPI as well."""
    found = dict(schema)
    if schema.get("x-kubernetes-int-or-string") and "anyOf" not in schema:
        found = {"anyOf": [{"type": "integer"}, {"type": "string"}], **schema}
    if isinstance(schema.get("properties"), dict):
        found["properties"] = {name: _published(one) for name, one in sorted(schema["properties"].items())}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = _published(schema[key])
    if schema.get("x-kubernetes-embedded-resource"):
        meta = {**_meta_properties("ObjectMeta"), **_EMBEDDED}
        found["properties"] = dict(sorted({**found.get("properties", {}), **meta}.items()))
        found["required"] = list(dict.fromkeys([*schema.get("required", ()), "kind", "apiVersion"]))
    return found


def custom_list_schema(definition: ResourceDefinition, version: Version, schema: str) -> Schema:
    kind = {"group": definition.group, "kind": definition.list_kind, "version": version.name}
    items = {
        "description": f"List of {definition.resource}. {_CONVENTIONS}",
        "type": "array",
        "items": {"$ref": PREFIX + schema},
    }
    return {
        "description": f"{definition.list_kind} is a list of {definition.kind}",
        "type": "object",
        "required": ["items"],
        "properties": dict(sorted({**_meta_properties("ListMeta"), "items": items}.items())),
        "x-kubernetes-group-version-kind": [kind],
        **_selectable(version),
    }
