"""The descriptions of `kubectl explain`: not kept here, but taken from the package kubernetes-validate if it is there.

Install it with `pip install 'ledger[explain]'`. It holds upstream's OpenAPI v2 definitions for several releases.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ledger.apimachinery.resource import Schema
from ledger.scheme.data_files import load_json


@functools.cache
def descriptions() -> dict[str, Schema]:
    """Definitions by name as the package has them for our release; empty where it is not installed."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        return {}
    minor = ".".join(load_json("resources.json")["kubernetes"].split(".")[:2])
    folders = Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema"
    found = sorted(folders.glob(f"v{minor}.*-local/_definitions.json"))
    definitions: dict[str, Schema] = orjson.loads(found[-1].read_bytes())["$defs"] if found else {}
    return definitions


def describe(name: str, schema: Schema) -> Schema:
    """The definition with its descriptions, first in each schema as Go writes them; itself where there are none."""
    source = descriptions().get(name)
    return _described(schema, source) if source else schema


def _described(schema: Schema, source: Schema) -> Schema:
    result: Schema = {}
    if text := source.get("description"):
        result["description"] = text + _enum_text(schema, text)
    result |= schema
    for key, inner, inner_source in _inside(schema, source):
        if key == "properties":
            known = inner_source
            result[key] = {name: _described(one, known.get(name, {})) for name, one in inner.items()}
        else:
            result[key] = _described(inner, inner_source)
    return result


def _inside(schema: Schema, source: Schema) -> Iterator[tuple[str, Any, Any]]:
    for key in ("properties", "items", "additionalProperties"):
        if isinstance(schema.get(key), dict) and isinstance(source.get(key), dict):
            yield key, schema[key], source[key]


def _enum_text(schema: Schema, text: str) -> str:
    """The list of values that OpenAPI v3 adds to the description of an enumeration."""
    if "enum" not in schema or re.search(r"\n\nPossible enum values:", text):
        return ""
    return "\n\nPossible enum values:" + "".join(f'\n - `"{value}"`' for value in sorted(schema["enum"]))
