from __future__ import annotations

import pytest

from ledger.apimachinery.selectors import (
    SelectorError,
    label_selector_from,
    label_selector_of,
    parse_field_selector,
    parse_label_selector,
)
from tests.apimachinery.corpus import message, needs_corpus, steps

OBJECTS = {
    "a": {"app": "web", "tier": "1"},
    "b": {"app": "api", "tier": "2"},
    "c": {"app": "web"},
    "d": {},
    "e": {"app": "", "x.example/y": "z"},
}


@pytest.mark.parametrize(
    "text, selected, canonical",
    [
        ("", "a b c d e", ""),
        ("app", "a b c e", "app"),
        ("!app", "d", "!app"),
        ("! app", "d", "!app"),
        ("app=web", "a c", "app=web"),
        ("app==web", "a c", "app==web"),
        ("app!=web", "b d e", "app!=web"),
        ("app in (web, api)", "a b c", "app in (api,web)"),
        ("app notin (web,api)", "d e", "app notin (api,web)"),
        ("app in ()", "e", "app in ()"),
        ("app in (,web)", "a c e", "app in (,web)"),
        ("app=", "e", "app="),
        ("app=,tier", "", "app=,tier"),
        ("tier>1", "b", "tier>1"),
        ("tier<2", "a", "tier<2"),
        ("tier,app=web", "a", "app=web,tier"),
        ("in in (in)", "", "in in (in)"),
        ("x.example/y=z", "e", "x.example/y=z"),
    ],
)
def test_label_selectors(text: str, selected: str, canonical: str) -> None:
    selector = parse_label_selector(text)
    assert [name for name, labels in OBJECTS.items() if selector.matches(labels)] == selected.split()
    assert str(selector) == canonical
    assert str(parse_label_selector(canonical)) == canonical


@pytest.mark.parametrize(
    "text, error",
    [
        ("tier>=1", "unable to parse requirement: found '=', expected: identifier"),
        ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("app=web,", "found '', expected: identifier after ','"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("/y", 'unable to parse requirement: <nil>: Invalid value: "/y": prefix part must be non-empty'),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: "
            "\"b\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ],
)
def test_what_a_label_selector_may_not_be(text: str, error: str) -> None:
    with pytest.raises(SelectorError) as raised:
        parse_label_selector(text)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    "selector, selected",
    [
        (None, ""),
        ({}, "a b c d e"),
        ({"matchLabels": {"app": "web"}}, "a c"),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, "a b"),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, "d"),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web", ""]}]}, "b d"),
        (
            {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["1"]}]},
            "a",
        ),
    ],
)
def test_label_selector_objects(selector: dict[str, object] | None, selected: str) -> None:
    compiled = label_selector_from(selector)
    assert [name for name, labels in OBJECTS.items() if compiled.matches(labels)] == selected.split()


@pytest.mark.parametrize(
    "expression, error",
    [
        ({"key": "a", "operator": "Gt", "values": ["1"]}, '"Gt" is not a valid label selector operator'),
        (
            {"key": "a", "operator": "In"},
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
        ),
        (
            {"key": "a", "operator": "Exists", "values": ["b"]},
            'values: Invalid value: ["b"]: values set must be empty for exists and does not exist',
        ),
        ({"key": "a/", "operator": "Exists"}, 'key: Invalid value: "a/": name part must be non-empty; name part must'),
    ],
)
def test_what_a_label_selector_object_may_not_be(expression: dict[str, object], error: str) -> None:
    with pytest.raises(SelectorError) as raised:
        label_selector_from({"matchExpressions": [expression]})
    assert str(raised.value).startswith(error)


def test_the_selector_of_a_service_is_not_validated() -> None:
    assert label_selector_of({"not a key": "v"}).matches({"not a key": "v"})


@pytest.mark.parametrize(
    "text, matches, canonical",
    [
        ("", True, ""),
        ("metadata.name=a", True, "metadata.name=a"),
        ("metadata.name==a", True, "metadata.name=a"),
        ("metadata.name!=a", False, "metadata.name!=a"),
        ("spec.x=,metadata.name=a", True, "metadata.name=a,spec.x="),
        (r"metadata.name!=a\,b\=c\\", True, r"metadata.name!=a\,b\=c\\"),
        ("=", True, ""),
    ],
)
def test_field_selectors(text: str, matches: bool, canonical: str) -> None:
    selector = parse_field_selector(text)
    assert selector.matches({"metadata.name": "a"}) is matches
    assert str(selector) == canonical


@pytest.mark.parametrize(
    "text, error",
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_what_a_field_selector_may_not_be(text: str, error: str) -> None:
    with pytest.raises(SelectorError) as raised:
        parse_field_selector(text)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    "extra, error",
    [
        ((), '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        (("spec.nodeName",), "field label not supported: spec.x"),
    ],
)
def test_a_field_that_is_not_selectable(extra: tuple[str, ...], error: str) -> None:
    with pytest.raises(SelectorError) as raised:
        parse_field_selector("spec.x=1").check(extra)
    assert str(raised.value) == error
    parse_field_selector("metadata.name=a,metadata.namespace=b").check()


@needs_corpus
def test_recorded_selectors_give_the_recorded_answers() -> None:
    objects = {
        body["metadata"]["name"]: body["metadata"].get("labels", {})
        for step in steps("list/selectors")
        if step["request"]["method"] == "POST" and "data" in (body := step["response"]["body"])
    }
    for step in steps("list/selectors")[:43]:
        query = step["request"].get("query") or {}
        if step["request"]["method"] != "GET" or not query.keys() <= {"labelSelector", "fieldSelector"}:
            continue
        try:
            labels = parse_label_selector(query.get("labelSelector", ""))
            fields = parse_field_selector(query.get("fieldSelector", ""))
            fields.check()
        except SelectorError as error:
            assert str(error) == message(step), query
            continue
        assert step["response"]["status"] == 200, query
        selected = [
            name
            for name in objects
            if labels.matches(objects[name])
            and fields.matches({"metadata.name": name, "metadata.namespace": "wa-selectors"})
        ]
        recorded = [item["metadata"]["name"] for item in step["response"]["body"]["items"] or []]
        assert selected == recorded, query
