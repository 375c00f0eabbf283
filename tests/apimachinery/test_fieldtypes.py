from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.fieldset import path_text, paths
from ledger.apimachinery.fieldtypes import DEDUCED, compiled
from ledger.apimachinery.fieldwalk import compare, field_set

TEXT = {"type": "string"}
PAIR = {"type": "object", "properties": {"name": TEXT, "value": TEXT}}
PAIRS = {"type": "array", "items": PAIR}


def claimed(schema: dict[str, Any] | None, value: Any) -> list[str]:
    """What an apply of {"x": value} claims under a schema for x."""
    whole = {"type": "object", "properties": {"metadata": PAIR, "x": schema}} if schema is not None else None
    return [path_text(path) for path in paths(field_set({"x": value}, compiled(whole)))]


NAMED = [{"name": "a", "value": "1"}]
BY_NAME = ['.x[name="a"]', '.x[name="a"].name', '.x[name="a"].value']


@pytest.mark.parametrize(
    "schema, value, claims",
    [
        (PAIR, NAMED[0], [".x.name", ".x.value"]),
        ({"allOf": [PAIR], "default": {}}, NAMED[0], [".x.name", ".x.value"]),
        (PAIR | {"x-kubernetes-map-type": "atomic"}, NAMED[0], [".x"]),
        ({"allOf": [PAIR], "x-kubernetes-map-type": "atomic"}, NAMED[0], [".x"]),
        (
            {"allOf": [PAIR | {"x-kubernetes-map-type": "atomic"}], "x-kubernetes-map-type": "granular"},
            {"name": "a"},
            [".x.name"],
        ),
        ({"type": "object", "additionalProperties": TEXT}, {"b": "1", "a": "2"}, [".x.a", ".x.b"]),
        (PAIRS, NAMED, [".x"]),
        (PAIRS | {"x-kubernetes-list-type": "atomic"}, NAMED, [".x"]),
        (PAIRS | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}, NAMED, BY_NAME),
        (PAIRS | {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name"}, NAMED, BY_NAME),
        (
            PAIRS | {"x-kubernetes-patch-strategy": "merge,retainKeys", "x-kubernetes-patch-merge-key": "name"},
            NAMED,
            BY_NAME,
        ),
        (PAIRS | {"x-kubernetes-patch-strategy": "retainKeys"}, NAMED, [".x"]),
        ({"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"}, ["b", "a"], ['.x[="a"]', '.x[="b"]']),
        ({"type": "array", "items": TEXT, "x-kubernetes-patch-strategy": "merge"}, ["a"], ['.x[="a"]']),
        ({"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": []}]}, 80, [".x"]),
        ({"format": "int-or-string", "oneOf": [{"type": "integer"}, TEXT]}, "http", [".x"]),
        ({"type": "object"}, {"a": {"b": 1}}, [".x"]),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {"a": {"b": 1}}, [".x.a", ".x.a.b"]),
        (PAIR | {"x-kubernetes-preserve-unknown-fields": True}, {"name": "a", "b": 1}, [".x.b", ".x.name"]),
        ({"type": "object", "additionalProperties": True}, {"a": [1]}, [".x.a"]),
        ({}, {"a": [{"b": 1}]}, [".x.a"]),
        ({}, ["a"], [".x"]),
        ({}, "a", [".x"]),
        (None, {"a": {"b": 1}, "c": [1]}, [".x", ".x.a", ".x.c", ".x.a.b"]),
        (
            {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            {"metadata": {"name": "a"}},
            [".x.metadata.name"],
        ),
    ],
)
def test_what_a_schema_says_about_ownership(schema: dict[str, Any] | None, value: Any, claims: list[str]) -> None:
    assert claimed(schema, value) == claims


def test_keys_that_an_element_leaves_out_have_their_defaults() -> None:
    port = {"type": "object", "properties": {"port": {"type": "integer"}, "protocol": TEXT | {"default": "TCP"}}}
    by_port = {"type": "array", "items": port, "x-kubernetes-list-type": "map"}
    ports = by_port | {"x-kubernetes-list-map-keys": ["port", "protocol"]}
    assert claimed(ports, [{"port": 1}])[0] == '.x[port=1,protocol="TCP"]'
    assert claimed(by_port | {"x-kubernetes-list-map-keys": ["port", "name"]}, [{"port": 1}])[0] == ".x[port=1]"


def test_a_schema_may_contain_itself() -> None:
    tree: dict[str, Any] = {"type": "object", "properties": {"name": TEXT}}
    tree["properties"]["child"] = tree
    assert claimed(tree, {"child": {"child": {"name": "a"}}}) == [".x.child.child.name"]


def test_a_schema_is_compiled_once_and_no_schema_is_deduced() -> None:
    assert compiled(PAIR) is compiled(PAIR)
    assert compiled(None) is DEDUCED


def test_a_value_that_becomes_another_kind_loses_what_it_was_and_gains_what_it_is() -> None:
    made = compiled({"type": "object", "properties": {"x": {}}})
    changes = compare({"x": {"a": 1}}, {"x": "text"}, made)
    assert [[path_text(path) for path in paths(one)] for one in changes] == [[".x.a"], [".x"], []]
    changes = compare({"x": "text"}, {"x": {"a": 1}}, made)
    assert [[path_text(path) for path in paths(one)] for one in changes] == [[], [".x"], [".x.a"]]
