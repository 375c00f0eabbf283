from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.gotext import json_kind, same, sharp_v, type_of, verb_v


@pytest.mark.parametrize(
    "value, plain, syntax, kind",
    [
        (None, "<nil>", "interface {}(nil)", "<nil>"),
        (True, "true", "true", "bool"),
        (1, "1", "1", "int64"),
        (3.0, "3", "3", "float64"),
        (0.5, "0.5", "0.5", "float64"),
        (1e21, "1e+21", "1e+21", "float64"),
        (1e-7, "1e-07", "1e-07", "float64"),
        ('a"b', 'a"b', '"a\\"b"', "string"),
        (["x", 1], "[x 1]", '[]interface {}{"x", 1}', "[]interface {}"),
        ({"b": None, "a": {}}, "map[a:map[] b:<nil>]", None, "map[string]interface {}"),
        ({"a": 1}, "map[a:1]", 'map[string]interface {}{"a":1}', "map[string]interface {}"),
    ],
)
def test_values_as_go_prints_them(value: Any, plain: str, syntax: str | None, kind: str) -> None:
    assert verb_v(value) == plain
    assert syntax is None or sharp_v(value) == syntax
    assert type_of(value) == kind


def test_kinds_as_the_json_decoder_names_them() -> None:
    assert [json_kind(value) for value in ({}, [], "", True, 1, 0.5)] == [
        "object",
        "array",
        "string",
        "bool",
        "number",
        "number",
    ]


@pytest.mark.parametrize("left, right", [(1, True), (1, 1.0), ([0], [False]), ({"a": 1}, {"a": "1"}), ({}, [])])
def test_values_python_would_confuse_are_not_the_same(left: Any, right: Any) -> None:
    assert not same(left, right)
    assert same(left, left)
