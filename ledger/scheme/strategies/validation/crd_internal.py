"""CustomResourceDefinitions as kube-apiserver's internal type has them: what error paths and shown values come from.

Whatever is alike in all versions stands at the top there (spec.validation, spec.subresources ...), and values are
printed with Go's field names, zero values included (pkg/apis/apiextensions/{types,v1/conversion}.go).
"""

from __future__ import annotations

import json
from typing import Any

from ledger.apimachinery.resource import Object, Schema
from ledger.scheme.strategies.equality import same

# per-version field -> where it stands when all versions have it alike
_HOISTED = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


class GoValue:
    """A value that field errors print as Go's JSON of the internal type."""

    __slots__ = ("text",)

    def __init__(self, value: Any) -> None:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        for one in "<>&\u2028\u2029":
            text = text.replace(one, f"\\u{ord(one):04x}")
        self.text = text

    def __str__(self) -> str:
        return self.text


def internal_spec(spec: Object) -> Object:
    """The spec with what all versions share at its top; the given one is not changed."""
    versions = [dict(version) for version in spec.get("versions") or ()]
    inner: Object = {
        **spec,
        "given": spec,
        "versions": versions,
        "version": versions[0].get("name", "") if versions else "",
    }
    for field, top in _HOISTED.items():
        values = [version.get(field) for version in versions]
        if versions and all(same(value, values[0]) for value in values):
            if values[0]:
                inner[top] = values[0]
            for version in versions:
                version.pop(field, None)
    return inner


def shown_versions(versions: list[Object]) -> GoValue:
    return GoValue([_version(version) for version in versions])


def shown_rule(rule: dict[str, Any]) -> GoValue:
    return GoValue(_rule(rule))


def shown_schema(schema: Schema) -> GoValue:
    return GoValue(_schema(schema))


def _version(version: Object) -> dict[str, Any]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    return {
        "Name": version.get("name", ""),
        "Served": version.get("served", False),
        "Storage": version.get("storage", False),
        "Deprecated": version.get("deprecated", False),
        "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": None if "schema" not in version else {"OpenAPIV3Schema": _schema(schema)},
        "Subresources": _subresources(version.get("subresources")),
        "AdditionalPrinterColumns": _columns(version.get("additionalPrinterColumns")),
        "SelectableFields": _fields(version.get("selectableFields")),
    }


def _subresources(given: dict[str, Any] | None) -> dict[str, Any] | None:
    if not given:
        return None
    scale = given.get("scale")
    return {
        "Status": given.get("status"),
        "Scale": scale
        and {
            "SpecReplicasPath": scale.get("specReplicasPath", ""),
            "StatusReplicasPath": scale.get("statusReplicasPath", ""),
            "LabelSelectorPath": scale.get("labelSelectorPath"),
        },
    }


def _columns(given: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    if not given:
        return None
    names = ("name", "type", "format", "description")
    return [
        {name.capitalize(): one.get(name, "") for name in names}
        | {"Priority": one.get("priority", 0), "JSONPath": one.get("jsonPath", "")}
        for one in given
    ]


def _fields(given: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    return [{"JSONPath": one.get("jsonPath", "")} for one in given] if given else None


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


# Go's name, JSON's name, Go's zero value; None where it is a pointer, slice or map.
_SCHEMA_FIELDS: tuple[tuple[str, str, Any], ...] = (
    ("ID", "id", ""),
    ("Schema", "$schema", ""),
    ("Ref", "$ref", None),
    ("Description", "description", ""),
    ("Type", "type", ""),
    ("Nullable", "nullable", False),
    ("Format", "format", ""),
    ("Title", "title", ""),
    ("Default", "default", None),
    ("Maximum", "maximum", None),
    ("ExclusiveMaximum", "exclusiveMaximum", False),
    ("Minimum", "minimum", None),
    ("ExclusiveMinimum", "exclusiveMinimum", False),
    ("MaxLength", "maxLength", None),
    ("MinLength", "minLength", None),
    ("Pattern", "pattern", ""),
    ("MaxItems", "maxItems", None),
    ("MinItems", "minItems", None),
    ("UniqueItems", "uniqueItems", False),
    ("MultipleOf", "multipleOf", None),
    ("Enum", "enum", None),
    ("MaxProperties", "maxProperties", None),
    ("MinProperties", "minProperties", None),
    ("Required", "required", None),
    ("Items", "items", None),
    ("AllOf", "allOf", None),
    ("OneOf", "oneOf", None),
    ("AnyOf", "anyOf", None),
    ("Not", "not", None),
    ("Properties", "properties", None),
    ("AdditionalProperties", "additionalProperties", None),
    ("PatternProperties", "patternProperties", None),
    ("Dependencies", "dependencies", None),
    ("AdditionalItems", "additionalItems", None),
    ("Definitions", "definitions", None),
    ("ExternalDocs", "externalDocs", None),
    ("Example", "example", None),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", None),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", False),
    ("XIntOrString", "x-kubernetes-int-or-string", False),
    ("XListMapKeys", "x-kubernetes-list-map-keys", None),
    ("XListType", "x-kubernetes-list-type", None),
    ("XMapType", "x-kubernetes-map-type", None),
    ("XValidations", "x-kubernetes-validations", None),
)


def set_fields(schema: Schema) -> list[str]:
    """Go's names of the fields that a schema sets, in Go's order."""
    return [name for name, key, zero in _SCHEMA_FIELDS if schema.get(key) not in (None, zero, [], {})]


def _schema(schema: Schema | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    return {name: _schema_value(key, schema.get(key), zero) for name, key, zero in _SCHEMA_FIELDS}


def _schema_value(key: str, value: Any, zero: Any) -> Any:
    if value is None:
        return zero
    match key:
        case "items":
            single = isinstance(value, dict)
            many = None if single else [_schema(one) for one in value]
            return {"Schema": _schema(value) if single else None, "JSONSchemas": many}
        case "allOf" | "oneOf" | "anyOf":
            return [_schema(one) for one in value]
        case "not":
            return _schema(value)
        case "properties" | "patternProperties" | "definitions":
            return {name: _schema(value[name]) for name in sorted(value)}
        case "additionalProperties" | "additionalItems":
            allows = value if isinstance(value, bool) else True
            return {"Allows": allows, "Schema": _schema(value) if isinstance(value, dict) else None}
        case "x-kubernetes-validations":
            return [_rule(one) for one in value]
    return value
