"""Objects made up from schemas, for property tests: plain data that a schema allows, in Go's normal form.

Normal form: optional fields are left out rather than empty, so that a conversion has nothing to tidy up.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ledger.apimachinery.resource import Schema

NAMES = st.sampled_from(["a", "b", "web", "x-1"])
MAPS = st.dictionaries(NAMES, NAMES, min_size=1, max_size=2)
QUANTITIES = st.sampled_from(["1", "20m", "5Gi"])


def values(schema: Schema, depth: int = 4, skip: frozenset[str] = frozenset()) -> st.SearchStrategy[Any]:
    """Values of a resolved schema; below `depth` only required fields. `skip`: names of fields to leave out."""
    kind = schema.get("type")
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "oneOf" in schema:
        return st.one_of(st.integers(1, 9), NAMES) if schema.get("format") == "int-or-string" else QUANTITIES
    if kind == "object" and "properties" in schema:
        return objects(schema, depth, skip)
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        inner = values(schema["additionalProperties"], depth - 1, skip)
        return st.dictionaries(NAMES, inner, min_size=1, max_size=2)
    if kind == "array":
        return st.lists(values(schema["items"], depth - 1, skip), min_size=1, max_size=2)
    if kind == "string":
        return st.just("2026-01-01T00:00:00Z") if schema.get("format") == "date-time" else NAMES
    return {
        "integer": st.integers(1, 9),
        "number": st.integers(1, 9),
        "boolean": st.booleans(),
    }.get(kind or "", st.just({}))


@st.composite
def objects(draw: st.DrawFn, schema: Schema, depth: int, skip: frozenset[str]) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    found: dict[str, Any] = {}
    for name, inner in schema["properties"].items():
        if name in skip or (name not in required and (depth <= 0 or not draw(st.booleans()))):
            continue
        found[name] = draw(values(inner, depth - 1, skip))
    return found


@st.composite
def whole(draw: st.DrawFn, schema: Schema, api_version: str, kind: str, **fixed: Any) -> dict[str, Any]:
    """An object of a kind with metadata of its own making. `fixed`: strategies for fields instead of the schema's."""
    metadata: dict[str, Any] = {"name": draw(NAMES), "namespace": "ns"}
    for name in ("annotations", "labels"):
        if draw(st.booleans()):
            metadata[name] = dict(sorted(draw(MAPS).items()))
    obj = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
    for name, inner in schema["properties"].items():
        if name not in obj:
            obj[name] = draw(fixed[name] if name in fixed else values(inner, 5))
    return obj
