"""What a definition's schema may say, keyword by keyword (ValidateCustomResourceDefinitionOpenAPISchema)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ledger.apimachinery.resource import Schema
from ledger.scheme.cel_rules import resolve_path
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.string_formats import known_format
from ledger.scheme.structural import META_FIELDS

TYPES = ("array", "boolean", "integer", "number", "object", "string")
REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_LINE_BREAK = re.compile(r"[\n\r]")
_UNSUPPORTED = ("additionalItems", "patternProperties", "definitions", "dependencies", "$ref")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a schema we are. `no_defaults`: why defaults are not allowed here, "" where they are."""

    root: bool = True
    in_metadata: bool = False
    no_defaults: str = ""
    check_types: bool = True
    check_sets: bool = True
    check_keys: bool = True


def schema_findings(schema: Schema | None, path: str, place: Place) -> Findings:
    """Findings about a schema and everything below it."""
    found = Findings()
    if not isinstance(schema, dict):
        return found
    _keywords(found, schema, path, place)
    _below(found, schema, path, place)
    preserve = schema.get("x-kubernetes-preserve-unknown-fields")
    if preserve is False:
        found.invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    _map_type(found, schema, path)
    _list_type(found, schema, path, place)
    if place.check_keys:
        list_key_findings(found, schema, path)
    _rules(found, schema, path)
    return found


def _keywords(found: Findings, schema: Schema, path: str, place: Place) -> None:
    kind = schema.get("type") or ""
    if place.check_types and kind and kind not in TYPES:
        found.not_supported(f"{path}.type", kind, TYPES)
    if schema.get("default") is not None and place.no_defaults:
        found.forbidden(f"{path}.default", f"must not be set {place.no_defaults}".rstrip())
    if schema.get("id"):
        found.forbidden(f"{path}.id", "id is not supported")
    for key in _UNSUPPORTED:
        if schema.get(key) not in (None, {}):
            found.forbidden(f"{path}.{key}", f"{key} is not supported")
    if kind == "null":
        found.forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        found.forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.in_metadata and schema.get("x-kubernetes-embedded-resource"):
        found.forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.forbidden(f"{path}.uniqueItems", text)


def _below(found: Findings, schema: Schema, path: str, place: Place) -> None:
    inner = replace(place, root=False)
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    if more is not None:
        if properties and more is not True:
            text = "additionalProperties and properties are mutual exclusive"
            found.forbidden(f"{path}.additionalProperties", text)
        of_map = inner
        if place.in_metadata:
            of_map = replace(inner, no_defaults="inside additionalProperties applying to object metadata")
        found += schema_findings(more, f"{path}.additionalProperties", of_map)
    for name in sorted(properties):
        below = inner
        if (place.root or schema.get("x-kubernetes-embedded-resource")) and name in META_FIELDS:
            below = replace(inner, in_metadata=True)
            if place.root:
                below = replace(below, no_defaults=f"in top-level {name}")
        found += schema_findings(properties[name], f"{path}.properties[{name}]", below)
    found += schema_findings(schema.get("not"), f"{path}.not", inner)
    for key in ("allOf", "oneOf", "anyOf"):
        for index, one in enumerate(schema.get(key) or ()):
            found += schema_findings(one, f"{path}.{key}[{index}]", inner)
    for name, one in sorted((schema.get("definitions") or {}).items()):
        found += schema_findings(one, f"{path}.definitions[{name}]", inner)
    items = schema.get("items")
    for index, one in enumerate(items if isinstance(items, list) else ()):
        found += schema_findings(one, f"{path}.items[{index}]", inner)
    found += schema_findings(items, f"{path}.items", inner) if isinstance(items, dict) else []


def _map_type(found: Findings, schema: Schema, path: str) -> None:
    map_type, kind = schema.get("x-kubernetes-map-type"), schema.get("type") or ""
    if map_type is None:
        return
    _must_be(found, kind, "object", path, "x-kubernetes-map-type")
    if map_type not in ("atomic", "granular"):
        found.not_supported(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular"))


def _must_be(found: Findings, kind: str, wanted: str, path: str, key: str) -> None:
    if kind == wanted:
        return
    text = f"must be {wanted} if {key} is specified"
    if kind:
        found.invalid(f"{path}.type", kind, text)
    else:
        found.required(f"{path}.type", text)


def _list_type(found: Findings, schema: Schema, path: str, place: Place) -> None:
    list_type, kind, items = schema.get("x-kubernetes-list-type"), schema.get("type") or "", schema.get("items")
    if list_type is not None and kind != "array":
        _must_be(found, kind, "array", path, "x-kubernetes-list-type")
    elif place.check_sets and list_type == "set" and isinstance(items, dict):
        _set_items(found, items, path)
    if list_type not in (None, "atomic", "set", "map"):
        found.not_supported(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "set", "map"))
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if keys and list_type != "map":
        text = "must be map if x-kubernetes-list-map-keys is non-empty"
        if list_type is None:
            found.required(f"{path}.x-kubernetes-list-type", text)
        else:
            found.invalid(f"{path}.x-kubernetes-list-type", list_type, text)
    if list_type == "map":
        _map_items(found, schema, keys, path)


def _set_items(found: Findings, items: Schema, path: str) -> None:
    text = "must be atomic as item of a list with x-kubernetes-list-type=set"
    inner = items.get("x-kubernetes-list-type")
    if items.get("type") == "array" and inner not in (None, "atomic"):
        found.invalid(f"{path}.items.x-kubernetes-list-type", inner, text)
    elif items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        found.invalid(f"{path}.items.x-kubernetes-map-type", inner, text)


def _map_items(found: Findings, schema: Schema, keys: list[str], path: str) -> None:
    items = schema.get("items")
    if not keys:
        text = "must not be empty if x-kubernetes-list-type is map"
        found.required(f"{path}.x-kubernetes-list-map-keys", text)
    if items is None:
        found.required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")
    if not isinstance(items, dict):
        return
    kind = items.get("type") or ""
    if kind != "object":
        found.invalid(f"{path}.items.type", kind, "must be object if parent array's x-kubernetes-list-type is map")
        return
    for place, key in enumerate(keys):
        known = (items.get("properties") or {}).get(key)
        if known is None:
            text = "entries must all be names of item properties"
            found.invalid(f"{path}.x-kubernetes-list-map-keys", keys, text)
        elif known.get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.invalid(f"{path}.items.properties[{key}].type", kind, text)
        if key in keys[:place]:
            found.invalid(f"{path}.x-kubernetes-list-map-keys", keys, "must not contain duplicate entries")


def list_key_findings(found: Findings, schema: Schema, path: str) -> None:
    """Keys of a list that is a map must always be there (validateMapListKeysMapSet)."""
    items, list_type = schema.get("items"), schema.get("x-kubernetes-list-type")
    if not isinstance(items, dict) or list_type not in ("set", "map"):
        return
    if items.get("nullable"):
        found.forbidden(f"{path}.items.nullable", f"cannot be nullable when x-kubernetes-list-type is {list_type}")
    if list_type == "set":
        return
    told = "this property is in x-kubernetes-list-map-keys, so it"
    for key in schema.get("x-kubernetes-list-map-keys") or ():
        known = (items.get("properties") or {}).get(key)
        if known is None:
            continue
        if key not in (items.get("required") or ()) and known.get("default") is None:
            text = f"{told} must have a default or be a required property"
            found.required(f"{path}.items.properties[{key}].default", text)
        if known.get("nullable"):
            found.forbidden(f"{path}.items.properties[{key}].nullable", f"{told} cannot be nullable")


def _rules(found: Findings, schema: Schema, path: str) -> None:
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        at = f"{path}.x-kubernetes-validations[{index}]"
        text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
        if not text:
            found.required(f"{at}.rule", "rule is not specified")
        elif message and not message.strip():
            found.invalid(f"{at}.message", message, "must be non-empty if specified")
        elif _LINE_BREAK.search(message.strip()):
            found.invalid(f"{at}.message", message, "must not contain line breaks")
        elif _LINE_BREAK.search(text) and not message.strip():
            found.required(f"{at}.message", "message must be specified if rule contains line breaks")
        expression = rule.get("messageExpression") or ""
        if expression and not expression.strip():
            found.required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
        if rule.get("reason") is not None and rule["reason"] not in REASONS:
            found.not_supported(f"{at}.reason", rule["reason"], REASONS)
        _field_path(found, schema, rule.get("fieldPath") or "", f"{at}.fieldPath")


def _field_path(found: Findings, schema: Schema, given: str, path: str) -> None:
    if not given:
        return
    if not given.strip():
        found.invalid(path, given, "must be non-empty if specified")
    if _LINE_BREAK.search(given):
        found.invalid(path, given, "must not contain line breaks")
    if resolve_path(given, schema)[2]:
        found.invalid(path, given, "must be a valid path")


# --- walks and warnings ----------------------------------------------------------------------------------------------
def every(schema: Schema | None) -> Iterator[Schema]:
    """A schema and all below it."""
    if not isinstance(schema, dict):
        return
    yield schema
    items = schema.get("items")
    for one in items if isinstance(items, list) else [items]:
        yield from every(one)
    for key in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(key) or ():
            yield from every(one)
    yield from every(schema.get("not"))
    for one in (schema.get("properties") or {}).values():
        yield from every(one)
    yield from every(schema.get("additionalProperties"))


def format_warnings(schemas: list[Schema]) -> list[str]:
    """A warning for each format that values will not be held to."""
    return [
        f'unrecognized format "{one["format"]}"'
        for schema in schemas
        for one in every(schema)
        if one.get("format") and not known_format(one["format"], one.get("type") or "")
    ]


def set_warnings(schemas: list[Schema]) -> list[str]:
    """A warning for sets of what cannot be told apart by server-side apply."""
    kinds = {
        one["items"]["type"]
        for schema in schemas
        for one in every(schema)
        if one.get("x-kubernetes-list-type") == "set"
        and isinstance(one.get("items"), dict)
        and one["items"].get("type") in ("object", "array")
    }
    told = "is not supported by server-side apply or CEL validation rules"
    return [f'x-kubernetes-list-type: set for items of type "{kind}" {told}' for kind in sorted(kinds)]
