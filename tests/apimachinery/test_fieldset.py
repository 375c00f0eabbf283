from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.apimachinery import fieldset
from ledger.apimachinery.fieldset import (
    FieldSet,
    FieldSetError,
    canonical,
    difference,
    excluding,
    field_path,
    including,
    intersection,
    is_member,
    of_paths,
    parse,
    path_text,
    paths,
    recursive_difference,
    union,
)

Paths = set[tuple[str, ...]]


def named(*texts: str) -> FieldSet:
    """The set of dotted paths."""
    return of_paths(map(field_path, texts))


def members(fields: FieldSet) -> Paths:
    return set(paths(fields))


@pytest.mark.parametrize(
    "element, text",
    [
        (fieldset.field("a.b/c"), ".a.b/c"),
        (fieldset.key({"protocol": "TCP", "port": 80}), '[port=80,protocol="TCP"]'),
        (fieldset.key({"name": 'a"<'}), '[name="a\\"<"]'),
        (fieldset.value("x y"), '[="x y"]'),
        (fieldset.value(True), "[=true]"),
        ("i:3", "[3]"),
    ],
)
def test_elements_as_messages_show_them(element: str, text: str) -> None:
    assert path_text((element,)) == text


@pytest.mark.parametrize(
    "element, stored",
    [
        (fieldset.key({"b": 1, "a": "x"}), 'k:{"a":"x","b":1}'),
        (fieldset.key({"a": "<&>"}), 'k:{"a":"\\u003c\\u0026\\u003e"}'),
        (fieldset.key({"a": 'q"\\'}), 'k:{"a":"q\\"\\\\"}'),
        (fieldset.key({"a": 80.0}), 'k:{"a":80}'),
        (fieldset.value(None), "v:null"),
        (fieldset.value(0.5), "v:0.5"),
    ],
)
def test_elements_as_they_are_stored(element: str, stored: str) -> None:
    assert element == stored
    assert parse({stored: {}}) == {stored: {}}


def test_parsing_settles_the_spelling_of_elements_and_drops_unknown_kinds() -> None:
    given_fields = {'k:{"b": 1.0, "a":"x"}': {".": {}, "f:c": {}}, "z:future": {}, 'v:"\\u0061"': {}}
    assert parse(given_fields) == {'k:{"a":"x","b":1}': {".": {}, "f:c": {}}, 'v:"a"': {}}


@pytest.mark.parametrize("element", ["x", "fx", 'k:{"a"', "k:[]", "v:", "i:x"])
def test_elements_that_are_none_are_refused(element: str) -> None:
    with pytest.raises(FieldSetError, match="parsing key as path element"):
        parse({element: {}})


def test_the_canonical_order_is_fields_keys_values_indexes() -> None:
    mixed = {
        "i:10": {},
        "i:9": {},
        'v:"b"': {},
        "v:10": {},
        "v:9": {},
        "v:true": {},
        'k:{"name":"b"}': {"f:z": {}, ".": {}, "f:a": {}},
        'k:{"name":"a","x":1}': {},
        'k:{"name":"a"}': {},
        "f:b": {},
        "f:a": {"f:c": {}},
    }
    assert json.dumps(canonical(mixed), separators=(",", ":")) == (
        '{"f:a":{"f:c":{}},"f:b":{},'
        '"k:{\\"name\\":\\"a\\"}":{},"k:{\\"name\\":\\"a\\",\\"x\\":1}":{},'
        '"k:{\\"name\\":\\"b\\"}":{".":{},"f:a":{},"f:z":{}},'
        '"v:9":{},"v:10":{},"v:\\"b\\"":{},"v:true":{},"i:9":{},"i:10":{}}'
    )


def test_a_path_and_what_is_below_it_are_owned_apart() -> None:
    both = union(named("spec"), named("spec.replicas"))
    assert both == {"f:spec": {".": {}, "f:replicas": {}}}
    assert difference(both, named("spec")) == named("spec.replicas")
    assert difference(both, named("spec.replicas")) == named("spec")
    assert recursive_difference(both, named("spec")) == {}
    assert intersection(both, named("spec")) == named("spec")


def test_filters_keep_or_drop_whole_branches() -> None:
    fields = named("spec.a", "spec.b.c", "status.d")
    assert excluding(named("spec.b", "status"))(fields) == named("spec.a")
    containers = of_paths(
        [("f:spec", "f:containers", 'k:{"name":"x"}', f"f:{name}", "f:cpu") for name in ("resources", "image")]
    )
    kept = including(("f:spec", "f:containers", "*", "f:resources"))(union(fields, containers))
    assert list(map(path_text, paths(kept))) == ['.spec.containers[name="x"].resources.cpu']


elements = st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', "v:1"])
path_sets = st.sets(st.lists(elements, min_size=1, max_size=3).map(tuple), max_size=8)


@given(path_sets, path_sets)
def test_the_operations_are_those_of_sets_of_paths(left: Paths, right: Paths) -> None:
    one, other = of_paths(left), of_paths(right)
    assert members(one) == left
    assert members(union(one, other)) == left | right
    assert members(difference(one, other)) == left - right
    assert members(intersection(one, other)) == left & right
    below = {path for path in left if any(path[: len(top)] == top for top in right)}
    assert members(recursive_difference(one, other)) == left - below


@given(path_sets, path_sets)
def test_equal_sets_are_equal_dicts(left: Paths, right: Paths) -> None:
    assert union(of_paths(left), of_paths(right)) == of_paths(left | right)
    assert canonical(of_paths(left)) == of_paths(left) == parse(json.loads(json.dumps(of_paths(left))))


@given(path_sets, path_sets)
def test_no_operation_changes_its_arguments_or_leaves_an_empty_branch(left: Paths, right: Paths) -> None:
    one, other = of_paths(left), of_paths(right)
    before = json.dumps([one, other])
    for operation in (union, difference, intersection, recursive_difference):
        assert branches_hold_members(operation(one, other))
    assert json.dumps([one, other]) == before


def branches_hold_members(fields: dict[str, Any]) -> bool:
    return all(is_member(below) or branches_hold_members(below) for below in fields.values())
