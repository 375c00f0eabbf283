"""Whether a definition's schema is structural: every value has one place that says what it is.

Follows pkg/apiserver/schema/{validation,complete}.go and schema/defaulting/validation.go of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ledger.apimachinery import field
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.resource import GVK, Schema
from ledger.scheme.body import Refused
from ledger.scheme.custom_validation import embedded_errors
from ledger.scheme.go_patterns import PatternError, compiled
from ledger.scheme.schema_validation import validate
from ledger.scheme.strategies.equality import same
from ledger.scheme.structural import META_FIELDS, Structural, coerce_embedded, prune

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_UNSUPPORTED = ("id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions")
_TYPE_MISSING = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def is_convertible(schema: Schema) -> bool:
    """Whether a schema has none of the keywords that no structural schema knows (NewStructural)."""
    if any(schema.get(key) for key in _UNSUPPORTED):
        return False
    below: list[Any] = [schema.get("not"), schema.get("items"), schema.get("additionalProperties")]
    below += [*(schema.get("properties") or {}).values()]
    for key in ("allOf", "anyOf", "oneOf"):
        below += schema.get(key) or ()
    return not isinstance(schema.get("items"), list) and all(
        is_convertible(one) for one in below if isinstance(one, dict)
    )


def structural_errors(schema: Schema, path: str) -> list[FieldError]:
    """What keeps a schema from being structural, sorted by text."""
    errors = _invariants(schema, "root", path) + _complete(schema, schema, path, path)
    return sorted(errors, key=str)


def _invariants(schema: Schema, level: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    kind, properties = schema.get("type") or "", schema.get("properties") or {}
    embedded = schema.get("x-kubernetes-embedded-resource") is True
    preserves = schema.get("x-kubernetes-preserve-unknown-fields") is True
    either = schema.get("x-kubernetes-int-or-string") is True
    items, more = schema.get("items"), schema.get("additionalProperties")
    if kind == "array" and items is None:
        errors.append(field.required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        errors += _invariants(items, "item", f"{path}.items")
    for name in sorted(properties):
        errors += _invariants(properties[name], "field", f"{path}.properties[{name}]")
    if more is not None:
        if level == "root":
            errors.append(field.forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(more, dict):
            errors += _invariants(more, "field", f"{path}.additionalProperties")
    for given, name in ((preserves, "preserve-unknown-fields"), (embedded, "embedded-resource")):
        if either and given:
            text = "must be false if x-kubernetes-int-or-string is true"
            errors.append(field.invalid(f"{path}.x-kubernetes-{name}", True, text))
    errors += _value_validation(schema, path)
    if embedded and kind != "object":
        text = "must be object if x-kubernetes-embedded-resource is true"
        errors.append(field.invalid(f"{path}.type", kind, text) if kind else field.required(f"{path}.type", text))
    elif not kind and not either and not preserves:
        errors.append(field.required(f"{path}.type", _TYPE_MISSING[level]))
    if embedded and more is not None:
        text = "must not be used if x-kubernetes-embedded-resource is set"
        errors.append(field.forbidden(f"{path}.additionalProperties", text))
    if level == "root" and kind and kind != "object":
        errors.append(field.invalid(f"{path}.type", kind, "must be object at the root"))
    errors += _metadata(schema, level, embedded, path)
    if embedded and not preserves and not properties:
        text = (
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        )
        errors.append(field.required(f"{path}.properties", text))
    return errors


def _metadata(schema: Schema, level: str, embedded: bool, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    properties = schema.get("properties") or {}
    check = level == "root" or embedded
    for name in ("kind", "apiVersion"):
        if check and name in properties and properties[name].get("type") != "string":
            at = f"{path}.properties[{name}].type"
            errors.append(field.invalid(at, properties[name].get("type", ""), "must be string"))
    if "metadata" not in properties:
        return errors
    metadata, at = properties["metadata"], f"{path}.properties[metadata]"
    if check and metadata.get("type") != "object":
        errors.append(field.invalid(f"{at}.type", metadata.get("type", ""), "must be object"))
    if level == "root":
        inner = metadata.get("properties") or {}
        allowed = {"type", "default", "properties"} if inner.keys() <= {"name", "generateName"} else {"type", "default"}
        if any(value not in (None, "", [], {}, False) for key, value in metadata.items() if key not in allowed):
            text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            errors.append(field.forbidden(at, text))
    return errors


def _value_validation(schema: Schema, path: str, skip_any_of: bool = False) -> list[FieldError]:
    """What allOf, anyOf, oneOf and not may hold; int-or-string has its two patterns."""
    errors: list[FieldError] = []
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    if not skip_any_of and not _is_int_or_string(any_of):
        for index, one in enumerate(any_of):
            errors += _nested(one, f"{path}.anyOf[{index}]")
    for index, one in enumerate(all_of):
        skip = index == 0 and _is_int_or_string(one.get("anyOf") or [])
        errors += _nested(one, f"{path}.allOf[{index}]", skip)
    for index, one in enumerate(schema.get("oneOf") or ()):
        errors += _nested(one, f"{path}.oneOf[{index}]")
    if isinstance(schema.get("not"), dict):
        errors += _nested(schema["not"], f"{path}.not")
    pattern = schema.get("pattern")
    if pattern:
        try:
            compiled(pattern)
        except PatternError as error:
            text = f"must be a valid regular expression, but isn't: {error}"
            errors.append(field.invalid(f"{path}.pattern", pattern, text))
    return errors


def _is_int_or_string(any_of: list[Schema]) -> bool:
    return any_of == _INT_OR_STRING


_EMPTY_WHEN_NESTED = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def _nested(schema: Schema, path: str, skip_any_of: bool = False) -> list[FieldError]:
    errors = _value_validation(schema, path, skip_any_of)
    if isinstance(schema.get("items"), dict):
        errors += _nested(schema["items"], f"{path}.items")
    properties = schema.get("properties") or {}
    for name in sorted(properties):
        errors += _nested(properties[name], f"{path}.properties[{name}]")
    for key, text in _EMPTY_WHEN_NESTED:
        value = schema.get(key)
        if value or (key in ("additionalProperties", "default") and value is not None):
            errors.append(field.forbidden(f"{path}.{key}", text))
    if "metadata" in properties:
        errors.append(field.forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))
    return errors


def _complete(given: Schema, node: Schema | None, path: str, given_path: str) -> list[FieldError]:
    """Whatever is restricted in allOf, anyOf, oneOf or not must be described outside of them."""
    nested = [(given["not"], f"{given_path}.not")] if isinstance(given.get("not"), dict) else []
    for key in ("allOf", "anyOf", "oneOf"):
        nested += [(one, f"{given_path}.{key}[{index}]") for index, one in enumerate(given.get(key) or ())]
    return [error for one, at in nested for error in _nested_complete(one, node, path, at)]


def _nested_complete(given: Schema, node: Schema | None, path: str, given_path: str) -> list[FieldError]:
    if node is None:
        return [field.required(path, f"because it is defined in {given_path}")]
    errors = _complete(given, node, path, given_path)
    if isinstance(given.get("items"), dict):
        items = node.get("items")
        errors += _nested_complete(given["items"], items, f"{path}.items", f"{given_path}.items")
    for name in sorted(given.get("properties") or {}):
        known = (node.get("properties") or {}).get(name)
        at, there = f"{path}.properties[{name}]", f"{given_path}.properties[{name}]"
        errors += _nested_complete(given["properties"][name], known, at, there)
    return errors


# --- defaults --------------------------------------------------------------------------------------------------------
def default_errors(schema: Schema, path: str, in_metadata: bool = False, root: bool = True) -> list[FieldError]:
    """Defaults must themselves fit the schema that they stand in."""
    errors: list[FieldError] = []
    embedded = root or schema.get("x-kubernetes-embedded-resource") is True
    if schema.get("default") is not None:
        errors += _one_default(schema, f"{path}.default", in_metadata and not embedded)
    if isinstance(schema.get("items"), dict):
        errors += default_errors(schema["items"], f"{path}.items", in_metadata and not embedded, root=False)
    for name in sorted(schema.get("properties") or {}):
        inside = (in_metadata and not embedded) or (embedded and name in META_FIELDS)
        errors += default_errors(schema["properties"][name], f"{path}.properties[{name}]", inside, root=False)
    return errors


def _one_default(schema: Schema, path: str, in_metadata: bool) -> list[FieldError]:
    value, node = schema["default"], Structural(schema)
    errors: list[FieldError] = []
    if not in_metadata:
        pruned = deepcopy(value)
        prune(pruned, node)
        if not same(pruned, value):
            errors.append(field.invalid(path, value, "must not have unknown fields"))
        try:
            coerce_embedded(deepcopy(value), node, path, GVK("", "", ""))
        except Refused as refused:
            return [*errors, field.invalid(path, value, str(refused))]
        found = embedded_errors(value, node, path)
        if found:
            return errors + found
    return errors + validate(schema, value, path=path)
