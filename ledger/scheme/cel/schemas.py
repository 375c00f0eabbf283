"""Structural schemas as types of CEL, and the values they describe as rules see them.

Follows pkg/cel/common/{schemas,valuesunstructured}.go of k8s.io/apiserver: what a schema does not declare is not there,
objects convert when they are looked into, and lists that are sets or maps compare and add up as such.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, TypeVar

from ledger.apimachinery.gotext import same
from ledger.apimachinery.resource import Schema
from ledger.scheme.cel import types as t
from ledger.scheme.cel.library.times import parse_duration, parse_timestamp
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type
from ledger.scheme.cel.values import GroupedList, equal, escaped

T = TypeVar("T")
REMEMBERED_MAX = 65536  # schema nodes
_TEXT: Schema = {"type": "string"}
_META: dict[str, Schema] = {
    "apiVersion": _TEXT,
    "kind": _TEXT,
    "metadata": {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}},
}
_PLAIN = {"boolean": t.BOOL, "number": t.DOUBLE, "integer": t.INT}
_TEXTS = {"byte": t.BYTES, "duration": t.DURATION, "date": t.TIMESTAMP, "date-time": t.TIMESTAMP}
_WRITABLE = re.compile(r"[A-Za-z_.\-/][A-Za-z0-9_.\-/]*")


def once(make: Callable[[Schema], T]) -> Callable[[Schema], T]:
    """What is made of a schema, remembered for that very schema, which must not change any more."""
    known: dict[int, tuple[Schema, T]] = {}

    def made(schema: Schema) -> T:
        found = known.get(id(schema))
        if found is None:
            if len(known) >= REMEMBERED_MAX:
                known.clear()
            found = known[id(schema)] = schema, make(schema)
        return found[1]

    return made


def is_embedded(schema: Schema) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


@once
def as_resource(schema: Schema) -> Schema:
    """The schema with what is always known of a whole object: apiVersion, kind, and the metadata's names."""
    return {**schema, "properties": {**(schema.get("properties") or {}), **_META}}


# --- types -----------------------------------------------------------------------------------------------------------
def declared(schema: Schema, root: bool, name: str) -> Type | None:
    """The type of a schema's values; None where rules cannot see them. `name`: what objects of this type are called."""
    if schema.get("x-kubernetes-int-or-string"):
        return t.DYN
    match schema.get("type"):
        case "array":
            items = schema.get("items")
            element = declared(items, is_embedded(items), f"{name}.@idx") if isinstance(items, dict) else None
            return None if element is None else t.list_of(element)
        case "object":
            more = schema.get("additionalProperties")
            if isinstance(more, dict):
                value = declared(more, is_embedded(more), f"{name}.@elem")
                return None if value is None else t.map_of(t.STRING, value)
            return t.message(name, _fields(as_resource(schema) if root else schema, name))
        case "string":
            return _TEXTS.get(schema.get("format") or "", t.STRING)
    return _PLAIN.get(schema.get("type") or "")


def _fields(schema: Schema, name: str) -> Callable[[str], Type | None]:
    """The types of an object's fields, each made when it is first asked for."""
    properties = writable(schema)
    known: dict[str, Type | None] = {}

    def find(field: str) -> Type | None:
        if field in properties and field not in known:
            _, below = properties[field]
            known[field] = declared(below, is_embedded(below), f"{name}.{field}")
        return known.get(field)

    return find


@once
def writable(schema: Schema) -> dict[str, tuple[str, Schema]]:
    """(name, schema) of the properties that can be written in a rule, by how they are written."""
    properties = schema.get("properties") or {}
    return {escaped(name): (name, below) for name, below in properties.items() if _WRITABLE.fullmatch(name)}


# --- values ----------------------------------------------------------------------------------------------------------
def as_cel(value: Any, schema: Schema) -> Any:
    """A value as rules see it. Raises CelError for one that does not fit its schema."""
    if value is None:
        if schema.get("nullable"):
            return None
        raise CelError("invalid data, got null for schema with nullable=false")
    kind = schema.get("type") or ""
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise CelError("invalid data, expected XIntOrString value to be either a string or integer")
        return value
    convert = _CONVERT.get(kind)
    if convert is not None:
        return convert(value, schema)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return value
    raise CelError(
        "invalid type, expected object, array, number, integer, boolean or string, or no type with"
        f" x-kubernetes-int-or-string or x-kubernetes-preserve-unknown-fields is true, got {kind}"
    )


class SchemaMap(Mapping[str, Any]):
    """An object: the fields its schema declares, or any where the schema says what all of them are."""

    __slots__ = ("_more", "_properties", "_value")

    def __init__(self, value: dict[str, Any], schema: Schema) -> None:
        self._value = value
        self._properties = writable(schema)
        more = None if self._properties else schema.get("additionalProperties")
        self._more: Schema | None = more if isinstance(more, dict) else None

    def __getitem__(self, key: str) -> Any:
        if self._more is not None:
            return as_cel(self._value[key], self._more)
        name, below = self._properties[key]
        return as_cel(self._value[name], below)

    def __iter__(self) -> Iterator[str]:
        if self._more is not None:
            return iter(self._value)
        return (written for written, (name, _) in self._properties.items() if name in self._value)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def undeclared(self) -> dict[str, Any]:
        """What the object holds besides."""
        if self._more is not None:
            return {}
        known = {name for name, _ in self._properties.values()}
        return {name: value for name, value in self._value.items() if name not in known}

    def equals(self, other: Any) -> bool:
        """Objects that keep unknown fields are equal when those are as well."""
        if not isinstance(other, Mapping) or len(self) != len(other):
            return False
        if isinstance(other, SchemaMap) and not same(self.undeclared(), other.undeclared()):
            return False
        return all(key in other and equal(value, other[key]) for key, value in self.items())


def _object(value: Any, schema: Schema) -> SchemaMap:
    if not isinstance(value, dict):
        raise CelError("invalid data, expected a map for the provided schema with type=object")
    return SchemaMap(value, as_resource(schema) if is_embedded(schema) else schema)


def _array(value: Any, schema: Schema) -> list[Any]:
    if not isinstance(value, list):
        raise CelError("invalid data, expected an array for the provided schema with type=array")
    items = schema.get("items")
    if not isinstance(items, dict):
        raise CelError("invalid array type, expected Items with a non-empty Schema")
    elements = [as_cel(one, items) for one in value]
    match schema.get("x-kubernetes-list-type"):
        case "map":
            keys = tuple(map(escaped, schema.get("x-kubernetes-list-map-keys") or ()))
            return GroupedList(elements, lambda one: tuple(_plain_key(one.get(key)) for key in keys))
        case "set":
            return GroupedList(elements, _plain_key)
    return elements


def _plain_key(one: Any) -> Any:
    """What tells elements apart: plain values by kind and value, others by what they hold."""
    if isinstance(one, Mapping):
        return frozenset((key, _plain_key(value)) for key, value in one.items())
    if isinstance(one, list):
        return tuple(map(_plain_key, one))
    return type(one), one


def _string(value: Any, schema: Schema) -> Any:
    if not isinstance(value, str):
        raise CelError(f"invalid data, expected string, got {_GO_TYPES.get(type(value), type(value).__name__)}")
    match schema.get("format"):
        case "duration":
            return parse_duration(value)
        case "date":
            try:
                return parse_timestamp(f"{date.fromisoformat(value).isoformat()}T00:00:00Z")
            except ValueError as error:
                raise CelError(f"Invalid date formatted string {value}: {error}") from None
        case "date-time":
            return parse_timestamp(value)
        case "byte":
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise CelError(f"Invalid byte formatted string {value}: {error}") from None
    return value


def _number(value: Any, schema: Schema) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CelError(f"invalid data, expected float, got {_GO_TYPES.get(type(value), type(value).__name__)}")
    return float(value)


def _integer(value: Any, schema: Schema) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CelError(f"invalid data, expected int, got {_GO_TYPES.get(type(value), type(value).__name__)}")
    return value


def _boolean(value: Any, schema: Schema) -> bool:
    if not isinstance(value, bool):
        raise CelError(f"invalid data, expected bool, got {_GO_TYPES.get(type(value), type(value).__name__)}")
    return value


_GO_TYPES = {
    bool: "bool",
    int: "int64",
    float: "float64",
    str: "string",
    list: "[]interface {}",
    dict: "map[string]interface {}",
}
_CONVERT: dict[str, Callable[[Any, Schema], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
}
