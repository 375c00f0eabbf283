"""A custom object as its definition's schema of the moment shows it: stored bytes stay, what is read of them changes.

A CustomResourceDefinition's new schema alters objects without a write: fields it does not know are pruned when they
are read, defaults are filled in. (Structural schemas in k8s.io/apiextensions-apiserver.)
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ledger.apimachinery.resource import Object, Schema

ALWAYS_KEPT = ("apiVersion", "kind", "metadata")  # of the object itself, and of embedded ones


def reread(obj: Object, schema: Schema | None) -> Object:
    """The object, pruned and defaulted; the given one is not changed."""
    if schema is None:
        return obj
    read = {name: value for name, value in obj.items() if name in ALWAYS_KEPT}
    rest = {name: value for name, value in obj.items() if name not in ALWAYS_KEPT}
    return {**read, **_value(deepcopy(rest), {**schema, "x-kubernetes-embedded-resource": False})}


def _value(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict):
        return _object(value, schema)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_value(item, schema["items"]) for item in value]
    return value


def _object(value: Object, schema: Schema) -> Object:
    properties: dict[str, Schema] = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    embedded = schema.get("x-kubernetes-embedded-resource")
    read: Object = {}
    for name, member in value.items():
        if embedded and name in ALWAYS_KEPT:
            read[name] = member
        elif name in properties:
            if member is None and not properties[name].get("nullable") and "default" in properties[name]:
                continue  # the default below replaces it
            read[name] = _value(member, properties[name])
        elif isinstance(others, dict):
            read[name] = _value(member, others)
        elif others or schema.get("x-kubernetes-preserve-unknown-fields"):
            read[name] = member
    for name, known in properties.items():
        if name not in read and name not in ALWAYS_KEPT and "default" in known:
            read[name] = _value(deepcopy(known["default"]), known)
    return read
