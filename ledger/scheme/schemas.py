"""The OpenAPI schemas of built-in kinds: loaded once from schemas.json.xz, references replaced by what they name."""

from __future__ import annotations

import functools
import lzma
from typing import Any

import orjson

from ledger.apimachinery.resource import Schema
from ledger.scheme.data_files import data_file

PREFIX = "#/components/schemas/"


def _load() -> dict[str, Schema]:
    loaded: dict[str, Schema] = orjson.loads(lzma.decompress(data_file("schemas.json.xz").read_bytes()))
    return loaded


@functools.cache
def raw_schemas() -> dict[str, Schema]:
    """Every definition by name, references kept: shared, not to be changed."""
    return _load()


@functools.cache
def resolved_definitions() -> dict[str, Schema]:
    """Every definition by name, each $ref replaced by the one dict it names: shared, cyclic, not to be changed."""
    definitions = _load()
    resolve(definitions)
    return definitions


def resolve(definitions: dict[str, Schema]) -> None:
    """Replaces references in place.

    A property refers either by `$ref` or, where it has keys of its own, by `allOf` with one `$ref`. Of those keys
    `default: {}` says nothing (Go's structs are never absent) and is dropped; extensions such as
    x-kubernetes-map-type override what the definition says.
    """
    overlays: list[tuple[Any, Any, Schema, Schema]] = []

    def target(schema: Schema, container: Any, key: Any) -> Schema:
        if "allOf" not in schema and "$ref" not in schema:
            inside(schema)
            return schema
        reference = schema["$ref"] if "$ref" in schema else schema["allOf"][0]["$ref"]
        named = definitions[reference[len(PREFIX) :]]
        own = {name: value for name, value in schema.items() if name.startswith("x-")}
        if own:  # copied when everything is resolved
            overlays.append((container, key, named, own))
        return named

    def inside(schema: Schema) -> None:
        properties = schema.get("properties")
        if properties is not None:
            for name, value in properties.items():
                properties[name] = target(value, properties, name)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                schema[key] = target(schema[key], schema, key)

    for definition in definitions.values():
        inside(definition)
    for container, key, named, own in overlays:
        container[key] = named | own
