"""The Go types behind the built-in kinds, as facts: data/gotypes.json.xz, written by tools/generate/types.

A type is named by an expression over Go's basic kinds and type ids: "string", "*int32", "[]k8s.io/api/core/v1.Pod",
"map[string]string". `parse` turns an expression into a `Shape`, which is what codecs are compiled from.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

from ledger.apimachinery.resource import GVK, split_api_version

_DATA = Path(__file__).with_name("data") / "gotypes.json.xz"

META = "k8s.io/apimachinery/pkg/apis/meta/v1."
TIME, MICRO_TIME, FIELDS_V1 = META + "Time", META + "MicroTime", META + "FieldsV1"
QUANTITY = "k8s.io/apimachinery/pkg/api/resource.Quantity"
RESOURCE_LIST = "k8s.io/api/core/v1.ResourceList"
INT_OR_STRING = "k8s.io/apimachinery/pkg/util/intstr.IntOrString"
RAW_EXTENSION = "k8s.io/apimachinery/pkg/runtime.RawExtension"
OPAQUE_SUFFIX, OR_BOOL_SUFFIX, OR_ARRAY_SUFFIX, OR_STRINGS_SUFFIX = (
    ".JSON",
    ".JSONSchemaPropsOrBool",
    ".JSONSchemaPropsOrArray",
    ".JSONSchemaPropsOrStringArray",
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a Go struct."""

    go: str  # "ObjectMeta"
    json: str  # "metadata"; empty: the struct is inlined
    type: str  # expression
    omit_empty: bool
    omit_zero: bool
    number: int  # of protobuf; 0: not on the wire
    merge: str  # patchStrategy: "merge", "replace", "merge,retainKeys"
    key: str  # patchMergeKey


@dataclass(frozen=True, slots=True)
class GoType:
    """A named Go type."""

    id: str  # "k8s.io/api/core/v1.Pod"
    name: str  # as error messages print it: "v1.Pod"
    of: str  # expression of what it is made of; empty: a struct
    custom: bool  # reads its JSON itself
    message: bool  # is a message of its own on the wire
    fields: tuple[Field, ...]

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]


class Shape(NamedTuple):
    """What a type expression says: one of "pointer", "list", "map" (each of `element`), "basic", "bytes", "named"."""

    form: str
    element: str = ""
    key: str = ""


class _Facts(NamedTuple):
    kinds: dict[GVK, str]
    types: dict[str, GoType]


@cache
def _facts() -> _Facts:
    raw = orjson.loads(lzma.decompress(_DATA.read_bytes()))
    kinds = {}
    for name, type_id in raw["kinds"].items():
        version, kind = name.split(" ")
        kinds[GVK(*split_api_version(version), kind)] = type_id
    return _Facts(kinds, {id: _go_type(id, one) for id, one in raw["types"].items()})


def _go_type(id: str, raw: Mapping[str, object]) -> GoType:
    listed = raw.get("fields", ())
    assert isinstance(listed, (list, tuple))
    fields = tuple(
        Field(
            one["go"],
            one["json"],
            one["type"],
            "empty" in one.get("omit", ""),
            "zero" in one.get("omit", ""),
            one.get("pb", 0),
            one.get("merge", ""),
            one.get("key", ""),
        )
        for one in listed
    )
    name, of = str(raw["name"]), str(raw.get("of", ""))
    return GoType(id, name, of, bool(raw.get("custom")), bool(raw.get("message")), fields)


def kinds() -> Mapping[GVK, str]:
    """Every known kind with the id of its type; kinds of any version, served or not."""
    return _facts().kinds


def type_of(gvk: GVK) -> str | None:
    """The id of a kind's Go type; None for kinds this program has no type of (custom resources)."""
    return _facts().kinds.get(gvk)


def go_type(id: str) -> GoType:
    return _facts().types[id]


@cache
def parse(expression: str) -> Shape:
    """The outermost part of an expression."""
    if expression.startswith("*"):
        return Shape("pointer", expression[1:])
    if expression == "[]uint8":
        return Shape("bytes")
    if expression.startswith("[]"):
        return Shape("list", expression[2:])
    if expression.startswith("map["):
        key, _, element = expression[4:].partition("]")
        return Shape("map", element, key)
    return Shape("named" if expression in _facts().types else "basic")


@cache
def resolve(expression: str) -> tuple[str, Shape]:
    """Follows names of types that are no structs: ("string", basic) for v1.PodPhase; special types stay named."""
    shape = parse(expression)
    if shape.form == "named" and (of := go_type(expression).of) and not go_type(expression).custom:
        return resolve(of)
    return expression, shape


@cache
def flat_fields(id: str) -> tuple[tuple[Field, tuple[str, ...]], ...]:
    """A struct's JSON fields in Go's order, inlined structs expanded; with each, the Go names of the structs around it."""
    found: list[tuple[Field, tuple[str, ...]]] = []
    for field in go_type(id).fields:
        if field.json:
            found.append((field, ()))
        else:
            inner = flat_fields(field.type.lstrip("*"))
            found.extend((one, (field.go, *path)) for one, path in inner)
    return tuple(found)


def printed(expression: str) -> str:
    """A type as reflect.Type.String prints it: "v1.ObjectMeta", "map[string]string", "[]uint8"."""
    shape = parse(expression)
    if shape.form == "named":
        return go_type(expression).name
    if shape.form == "pointer":
        return "*" + printed(shape.element)
    if shape.form == "list":
        return "[]" + printed(shape.element)
    if shape.form == "map":
        return f"map[{printed(shape.key)}]{printed(shape.element)}"
    return expression


def internal_name(gvk: GVK) -> str:
    """The kind's internal type as messages print it: "core.ConfigMap", "rbac.ClusterRole"."""
    id = type_of(gvk)
    package = id.rpartition("/")[0].rpartition("/")[2] if id else "unstructured"
    return f"{package}.{gvk.kind}" if id else "unstructured.Unstructured"
