"""What a structural schema makes of a value: what it prunes, fills in, and finds wrong."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ledger.apimachinery.resource import GVK
from ledger.scheme.body import Refused
from ledger.scheme.cel_rules import definition_errors, rule_errors
from ledger.scheme.custom_validation import embedded_errors, nested
from ledger.scheme.go_patterns import PatternError, compiled
from ledger.scheme.schema_validation import UNKNOWN, validate
from ledger.scheme.string_formats import conforms
from ledger.scheme.structural import coerce, default, structural
from ledger.scheme.structural_lists import validate_lists

KIND = GVK("example.com", "v1", "Widget")


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


OPEN = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True, OPEN: True}


# --- pruning ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("node, given, kept, unknown", [
    ({"type": "string"},                                  "x",                    "x",               []),
    (schema(b={"type": "string"}),                        {"b": 1, "c": 2},       {"b": 1},          ["a.c"]),
    ({"type": "object"},                                  {"b": {"c": 1}},        {},                ["a.b"]),
    ({"type": "object", OPEN: True},                      {"b": {"c": None}},     {"b": {"c": None}}, []),
    (schema(b=schema(c={"type": "string"})) | {OPEN: True}, {"b": {"d": 1}, "e": 1}, {"b": {}, "e": 1}, ["a.b.d"]),
    ({"type": "object", "additionalProperties": schema(c={"type": "string"})}, {"k": {"c": 1, "d": 2}}, {"k": {"c": 1}}, ["a.k.d"]),
    ({"type": "object", "additionalProperties": True},    {"k": {"c": 1}, "l": 2}, {"k": {}, "l": 2}, ["a.k.c"]),
    ({"type": "array", "items": schema(c={"type": "string"})}, [{"c": 1, "d": 2}], [{"c": 1}],       ["a[0].d"]),
    (EMBEDDED, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "odd": 1}, "spec": {}}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}}, ["a.metadata.odd"]),
])  # fmt: skip
def test_what_a_schema_does_not_have_goes_and_is_named(node: Any, given: Any, kept: Any, unknown: list[str]) -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "a": given}
    assert coerce(obj, structural(schema(a=node)), KIND) == unknown
    assert obj == {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "a": kept}


def test_the_metadata_of_an_embedded_object_must_decode() -> None:
    with pytest.raises(Refused, match=r"^a\.metadata: Invalid value"):
        coerce({"a": {"metadata": {"name": 1}}}, structural(schema(a=EMBEDDED)), KIND)


@pytest.mark.parametrize("node, given, left", [
    ({"type": "string"},                      {"a": None}, {}),
    ({"type": "string", "nullable": True},    {"a": None}, {"a": None}),
    ({"type": "string", "default": "x"},      {"a": None}, {"a": None}),  # the default takes its place
])  # fmt: skip
def test_nulls_that_stand_for_nothing_go(node: Any, given: Any, left: Any) -> None:
    coerce(given, structural(schema(a=node)), KIND)
    assert given == left


# --- defaults --------------------------------------------------------------------------------------------------------
INNER = {**schema(x={"type": "string", "default": "d"}), "default": {}}


@pytest.mark.parametrize("node, given, filled", [
    (schema(a={"type": "integer", "default": 5}),                       {},               {"a": 5}),
    (schema(a={"type": "integer", "default": 5}),                       {"a": None},      {"a": 5}),
    (schema(a={"type": "integer", "default": 5, "nullable": True}),     {"a": None},      {"a": None}),
    (schema(a=INNER),                                                   {},               {"a": {"x": "d"}}),
    (schema(a=schema(x={"type": "string", "default": "d"})),            {},               {}),
    ({"type": "object", "additionalProperties": INNER},                 {"k": {}, "l": None}, {"k": {"x": "d"}, "l": {"x": "d"}}),
    (schema(a={"type": "array", "items": INNER}),                       {"a": [{}, {"x": 1}]}, {"a": [{"x": "d"}, {"x": 1}]}),
])  # fmt: skip
def test_defaults_fill_what_is_missing(node: Any, given: Any, filled: Any) -> None:
    default(given, structural(node))
    assert given == filled
    again = deepcopy(given)
    default(again, structural(node))
    assert again == filled


def test_a_default_is_copied_each_time() -> None:
    node = structural(
        schema(a={"type": "object", "default": {"l": []}, "properties": {"l": {"type": "array", "items": {}}}})
    )
    first: dict[str, Any] = {}
    default(first, node)
    first["a"]["l"].append(1)
    second: dict[str, Any] = {}
    default(second, node)
    assert second == {"a": {"l": []}}


# --- validation ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("node, value, errors", [
    ({"type": "string"},                            1,       ['a: Invalid value: "integer": a in body must be of type string: "integer"']),
    ({"type": "integer"},                           2.0,     []),
    ({"type": "number"},                            2,       []),
    ({"x-kubernetes-int-or-string": True},          True,    ['a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"']),
    ({"type": "string", "minLength": 2},            "x",     ['a: Invalid value: "x": a in body should be at least 2 chars long']),
    ({"type": "string", "maxLength": 1},            "xy",    ["a: Too long: may not be more than 1 byte"]),
    ({"type": "string", "pattern": "^a$"},          "a\n",   ['a: Invalid value: "a\\n": a in body should match \'^a$\'']),
    ({"type": "string", "format": "ipv4"},          "x",     ['a: Invalid value: "x": a in body must be of type ipv4: "x"']),
    ({"type": "string", "format": "unheard-of"},    "x",     []),
    ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, 1, ["a: Invalid value: 1: a in body should be greater than 1"]),
    ({"type": "integer", "format": "int32"},        1 << 31, ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in a']),
    ({"type": "number", "multipleOf": 0.5},         7,       ["a: Invalid value: 0: factor MultipleOf declared for a must be positive: 0"]),
    ({"type": "number", "multipleOf": 0.5},         0.75,    ["a: Invalid value: 0.75: a in body should be a multiple of 0.5"]),
    ({"type": "string", "enum": ["A", "B"]},        "C",     ['a: Unsupported value: "C": supported values: "A", "B"']),
    ({"type": "string", "nullable": True, "enum": ["A"]}, None, ['a: Unsupported value: null: supported values: "A"']),
    ({"type": "array", "maxItems": 1, "items": {"type": "string"}}, ["x", 1], ['a[1]: Invalid value: "integer": a[1] in body must be of type string: "integer"', "a: Too many: 2: must have at most 1 item"]),
    (schema(b={"type": "string"}) | {"required": ["b"]}, {},  ["a.b: Required value"]),
    ({"type": "object", "minProperties": 1},        {},      ["a: Invalid value: 0: a in body should have at least 1 properties"]),
    ({"type": "object", "oneOf": [{"required": ["x"]}, {"required": ["y"]}]}, {"x": 1, "y": 1}, ['<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives']),
    ({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}, 3, ['<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)', "a: Invalid value: 3: a in body should be greater than or equal to 5"]),
    ({"type": "integer", "allOf": [{"minimum": 5}]}, 3, ["a: Invalid value: 3: a in body should be greater than or equal to 5", '<nil>: Invalid value: "": "a" must validate all the schemas (allOf). None validated']),
    ({"type": "string", "not": {"enum": ["bad"]}},  "bad",   ['<nil>: Invalid value: "": "a" must not validate the schema (not)']),
])  # fmt: skip
def test_a_value_is_held_to_its_schema_in_upstreams_words(node: Any, value: Any, errors: list[str]) -> None:
    assert list(map(str, validate(schema(a=node), {"a": value}))) == errors


def test_a_part_of_an_object_is_reported_below_its_path() -> None:
    found = validate(schema(phase={"type": "string", "enum": ["Up"]}), {"phase": "x"}, path="status")
    assert [error.field for error in found] == ["status.phase"]


def test_what_an_update_left_alone_is_not_held_against_it() -> None:
    tight = schema(a={"type": "string", "maxLength": 1}, b={"type": "string", "maxLength": 1})
    old = {"a": "long", "b": "x"}
    assert validate(tight, {"a": "long", "b": "y"}, old) == []
    assert [error.field for error in validate(tight, {"a": "longer", "b": "y"}, old)] == ["a"]
    assert [error.field for error in validate(tight, {"a": "long"}, UNKNOWN)] == ["a"]


@pytest.mark.parametrize("list_type, keys, value, errors", [
    ("set", [],         ["a", "b", "a", "a"],                            ['l[2]: Duplicate value: "a"']),
    ("set", [],         [1, "1", True],                                  []),
    ("map", ["k"],      [{"k": "a"}, {"k": "a", "v": 1}],                ['l[1]: Duplicate value: {"k":"a"}']),
    ("map", ["k"],      [{}, None],                                      ["l[1]: Duplicate value: {}"]),
    ("map", ["k", "p"], [{"k": 1, "p": 1}, {"k": 1, "p": 2}],            []),
    ("map", ["k"],      ["a"],                                           ['l[0]: Invalid value: "a": must be an object for an array of list-type map']),
])  # fmt: skip
def test_sets_and_maps_hold_everything_once(list_type: str, keys: list[str], value: Any, errors: list[str]) -> None:
    node = {"type": "array", "x-kubernetes-list-type": list_type, "x-kubernetes-list-map-keys": keys, "items": {}}
    assert list(map(str, validate_lists({"l": value}, structural(schema(l=node))))) == errors


def test_an_embedded_object_says_what_it_is() -> None:
    found = embedded_errors({"a": {"kind": "x y"}}, structural(schema(a=EMBEDDED)), "")
    assert [str(error)[:40] for error in found] == [
        "a.apiVersion: Required value",
        'a.kind: Invalid value: "x y": may have m',
    ]


def test_a_path_through_what_is_no_object_is_an_accessor_error() -> None:
    assert nested({"spec": {"n": 3}}, "spec.n", int) == (3, "")
    assert nested({"spec": {}}, "spec.n", int) == (None, "")
    why = ".spec.n accessor error: x is of the type string, expected map[string]interface{}"
    assert nested({"spec": "x"}, "spec.n", int) == (None, why)


# --- patterns and formats --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pattern, why", [
    ("(",         "missing closing ): `(`"),
    ("[a",        "missing closing ]: `[a`"),
    ("*",         "missing argument to repetition operator: `*`"),
    ("a{2,1}",    "invalid repeat count: `{2,1}`"),
    ("(?=a)",     "invalid or unsupported Perl syntax: `(?=`"),
    ("\\8",       "invalid escape sequence: `\\8`"),
    ("[[:odd:]]", "invalid character class range: `[:odd:]`"),
])  # fmt: skip
def test_patterns_that_are_none_are_refused_in_Gos_words(pattern: str, why: str) -> None:
    with pytest.raises(PatternError) as refused:
        compiled(pattern)
    assert str(refused.value) == f"error parsing regexp: {why}"


@pytest.mark.parametrize("pattern, text, matches", [
    ("^a$", "a", True), ("^a$", "a\n", False), (r"^\d+$", "٣", False), ("[[:alpha:]]", "x", True),
    (r"\z", "", True), (r"^[^]a]$", "b", True), ("(?i)ABC", "abc", True), ("^(?i)[a-z]+$", "ABC", True),
])  # fmt: skip
def test_patterns_mean_what_they_mean_in_Go(pattern: str, text: str, matches: bool) -> None:
    assert bool(compiled(pattern).search(text)) == matches


def test_no_pattern_makes_anybody_wait() -> None:
    assert compiled("(a+)+$").search("a" * 100_000 + "b") is None  # a backtracking matcher would never come back


@pytest.mark.parametrize("name, good, bad", [
    ("date-time", "2024-02-29T23:59:59.5Z", "2023-02-29T00:00:00Z"),
    ("duration",  "3 days",                 "abc"),
    ("email",     "a@b.example",            "x"),
    ("hostname",  "a.example.com",          "-a"),
    ("ipv6",      "::1",                    "1.2.3.4"),
    ("cidr",      "10.0.0.0/8",             "10.0.0.0"),
    ("uri",       "/x",                     "x"),
    ("uuid",      "123E4567-e89b-12d3-a456-426614174000", "123"),
    ("byte",      "eA==",                   "%"),
    ("mac",       "00:00:5e:00:53:01",      "zz"),
    ("isbn10",    "0321751043",             "0321751044"),
    ("k8s-short-name", "a-b",               "A"),
])  # fmt: skip
def test_formats(name: str, good: str, bad: str) -> None:
    assert conforms(name, good) and not conforms(name, bad)


# --- rules -----------------------------------------------------------------------------------------------------------
def ruled(**rule: Any) -> dict[str, Any]:
    spec = schema(a={"type": "integer"}, b={"type": "integer"}) | {"x-kubernetes-validations": [rule]}
    return schema(spec=spec)


@pytest.mark.parametrize("rule, new, old, errors", [
    ({"rule": "self.a < self.b"},                              {"a": 2, "b": 1}, None, ["spec: Invalid value: failed rule: self.a < self.b"]),
    ({"rule": "self.a < self.b", "message": "too big"},        {"a": 2, "b": 1}, None, ["spec: Invalid value: too big"]),
    ({"rule": "self.a < 2", "messageExpression": "'a' + 'b'"}, {"a": 2}, None,         ["spec: Invalid value: ab"]),
    ({"rule": "self.a < 2", "reason": "FieldValueForbidden", "fieldPath": ".a"}, {"a": 2}, None, ["spec.a: Forbidden: failed rule: self.a < 2"]),
    ({"rule": "self.a < 2"},                                   {"b": 1}, None,         ['spec: Invalid value: "object": no such key: a evaluating rule: self.a < 2']),
    ({"rule": "self.a >= oldSelf.a"},                          {"a": 1}, None,         []),
    ({"rule": "self.a >= oldSelf.a", "message": "shrinks"},    {"a": 1}, {"a": 2},     ["spec: Invalid value: shrinks"]),
    ({"rule": "!oldSelf.hasValue() || false", "optionalOldSelf": True}, {"a": 1}, None, []),
    ({"rule": "self.a < 2"},                                   {"a": 2}, {"a": 2},     []),  # it was so before
    ({"rule": "unheardOf(self.a)"},                            {"a": 2}, None,         ['spec: Invalid value: "object": rule compile error: compilation failed: ERROR: <input>:1:10: undeclared reference to \'unheardOf\' (in container \'\')\n | unheardOf(self.a)\n | .........^']),
])  # fmt: skip
def test_rules(rule: Any, new: Any, old: Any, errors: list[str]) -> None:
    before = UNKNOWN if old is None else {"spec": old}
    assert list(map(str, rule_errors(ruled(**rule), {"spec": new}, before))) == errors


def test_elements_of_a_list_that_is_a_map_are_compared_by_key() -> None:
    items = schema(k={"type": "string"}, v={"type": "integer"}) | {
        "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v"}]
    }
    node = schema(
        l={"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": items}
    )
    old = {"l": [{"k": "a", "v": 1}, {"k": "b", "v": 5}]}
    found = rule_errors(node, {"l": [{"k": "b", "v": 4}, {"k": "a", "v": 1}, {"k": "c", "v": 0}]}, old)
    assert [error.field for error in found] == ["l[0]"]


@pytest.mark.parametrize("rule, errors", [
    ({"rule": "self.n + 1 > 2 && has(self.d)"}, []),
    ({"rule": "self.("}, ["s.x-kubernetes-validations[0].rule: compilation failed: ERROR: <input>:1:6: Syntax error: no viable alternative at input '.('"]),
    ({"rule": "self.t + 1 > 2"}, ["s.x-kubernetes-validations[0].rule: compilation failed: ERROR: <input>:1:8: found no matching overload for '_+_' applied to '(string, int)'"]),
    ({"rule": "self.none == 'x'"}, ["s.x-kubernetes-validations[0].rule: compilation failed: ERROR: <input>:1:5: undefined field 'none'"]),
    ({"rule": "self.open.x"}, ["s.x-kubernetes-validations[0].rule: compilation failed: ERROR: <input>:1:10: undefined field 'x'"]),
    ({"rule": "self.n"}, ["s.x-kubernetes-validations[0].rule: cel expression must evaluate to a bool"]),
    ({"rule": "self.port == 1 || self.port == 'http'"}, []),
    ({"rule": "self.a__dash__b == duration('1s') && self.when > timestamp('2020-01-01T00:00:00Z')"}, []),
    ({"rule": "self.n > 1", "messageExpression": "self.n"}, ["s.x-kubernetes-validations[0].messageExpression: messageExpression must evaluate to a string"]),
    ({"rule": "self.n > 1", "optionalOldSelf": True}, ["s.x-kubernetes-validations[0].optionalOldSelf: may not be set if oldSelf is not used in rule"]),
    ({"rule": "oldSelf.orValue(self).n > 1", "optionalOldSelf": True}, []),
    ({"rule": "self.l.all(x, quantity(x).isGreaterThan(quantity('1Ki')))"}, []),
])  # fmt: skip
def test_rules_that_make_no_sense_are_refused_with_the_definition(rule: Any, errors: list[str]) -> None:
    node = schema(
        **{
            "t": {"type": "string"},
            "n": {"type": "integer"},
            "d": {"type": "number"},
            "open": {"type": "object", OPEN: True},
        },
        **{"port": {"x-kubernetes-int-or-string": True}, "a-b": {"type": "string", "format": "duration"}},
        when={"type": "string", "format": "date-time"},
        l={"type": "array", "maxItems": 9, "items": {"type": "string", "maxLength": 99}},
    ) | {"x-kubernetes-validations": [rule]}
    found = definition_errors(node, "s")
    assert [f"{one.field}: {one.detail}".partition("\n")[0] for one in found] == errors


def test_what_has_no_counterpart_has_no_old_self() -> None:
    items = {"type": "string", "maxLength": 9, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    (error,) = definition_errors(schema(l={"type": "array", "maxItems": 9, "items": items}), "s")
    assert str(error).endswith(
        "oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[l]"
    )


TYPED = schema(
    date={"type": "string", "format": "date-time"},
    bytes={"type": "string", "format": "byte"},
    number={"type": "number"},
    map={"type": "object", "additionalProperties": {"type": "integer"}},
    set={"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    rows={
        **{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        "items": schema(k={"type": "string"}, v={"type": "integer"}),
        "maxItems": 9,
    },
    **{"a-b": {"type": "boolean"}, "$odd": {"type": "string"}, "none": {"type": "string"}},
)
VALUE = {
    **{"date": "2024-01-02T03:04:05Z", "bytes": "eHk=", "number": 2, "map": {"x": 1}, "set": ["a", "b"], "a-b": True},
    **{"rows": [{"k": "a", "v": 1}, {"k": "b", "v": 2}], "$odd": "x", "unknown": 1, "none": None},
}


@pytest.mark.parametrize("rule, error", [
    ("self.date.getFullYear() == 2024 && self.bytes == b'xy'", ""),
    ("self.number / 4.0 == 0.5 && self.map['x'] == 1 && self.map.x == 1", ""),
    ("self.a__dash__b && !has(self.number) || true", ""),
    ("self.set == ['b', 'a'] && self.set + ['a', 'c'] == ['a', 'b', 'c']", ""),
    ("self.rows.all(r, r.v > 0) && self.rows.map(r, r.k) == ['a', 'b']", ""),
    ("(self.rows + self.rows).size() == 2", ""),
    ("self.map.y == 1", "no such key: y evaluating rule: self.map.y == 1"),
    ("self.none == ''", "invalid data, got null for schema with nullable=false evaluating rule: self.none == ''"),
    ("self.number < 1.0", "failed rule: self.number < 1.0"),
])  # fmt: skip
def test_rules_see_values_as_the_schema_declares_them(rule: str, error: str) -> None:
    node = TYPED | {"x-kubernetes-validations": [{"rule": rule}]}
    assert definition_errors(node, "s") == []
    assert [one.detail for one in rule_errors(node, VALUE, root=False)] == ([error] if error else [])


def test_parts_of_all_of_have_rules_too() -> None:
    node = schema(n={"type": "integer"}) | {
        "allOf": [{"properties": {"n": {"x-kubernetes-validations": [{"rule": "self > 1"}]}}}]
    }
    assert [str(one) for one in rule_errors(node, {"n": 1})] == ["n: Invalid value: 1: failed rule: self > 1"]
    assert rule_errors(node, {"n": 2}) == []
