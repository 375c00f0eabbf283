from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.apimachinery.apply import LAST_APPLIED, apply, go_json
from ledger.apimachinery.fieldset import excluding, field_path, of_paths, path_text, paths
from ledger.apimachinery.managedentries import decode_managed_fields
from ledger.apimachinery.managedfields import update_managed_fields
from ledger.apimachinery.resource import GVK, split_api_version
from ledger.apimachinery.status import StatusError
from tests.apimachinery.corpus import message, needs_corpus, scenarios, schema, writes
from tests.apimachinery.test_managedfields import SCHEMA, STATUS, entry, owned, owners_apart, thing

KIND = GVK("", "v1", "Thing")
Object = dict[str, Any]


def configuration(spec: dict[str, Any] | None = None, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"} | metadata, "spec": spec or {}}


def applied(live: Object | None, spec: dict[str, Any], manager: str = "me", force: bool = False, **more: Any) -> Object:
    more = {"subresource": "", "now": "t1", "reset": STATUS} | more
    config = more.pop("config", None) or configuration(spec)
    return apply(copy.deepcopy(live), config, SCHEMA, KIND, manager, force, **more)


def owns(obj: Object, manager: str = "me") -> list[str]:
    return owned(obj["metadata"].get("managedFields", []), manager)


NOTHING = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}}


def test_an_apply_creates_what_it_says_and_owns_it() -> None:
    created = applied(None, {"size": 1, "ports": [{"port": 80}], "selector": {"a": "b"}})
    assert created["spec"] == {"size": 1, "ports": [{"port": 80}], "selector": {"a": "b"}}
    assert owns(created) == [
        ".spec.selector",
        ".spec.size",
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].port',
    ]
    (one,) = created["metadata"]["managedFields"]
    assert {key: one[key] for key in ("manager", "operation", "apiVersion", "time", "fieldsType")} == {
        "manager": "me",
        "operation": "Apply",
        "apiVersion": "v1",
        "time": "t1",
        "fieldsType": "FieldsV1",
    }


@pytest.mark.parametrize(
    "first, then, left",
    [
        ({"size": 1, "lines": ["a"]}, {"lines": ["a"]}, {"lines": ["a"]}),
        ({"words": ["a", "b"]}, {"words": ["b"]}, {"words": ["b"]}),
        ({"words": ["a"]}, {"size": 1}, {"size": 1}),
        ({"ports": [{"port": 1, "name": "x"}, {"port": 2}]}, {"ports": [{"port": 1}]}, {"ports": [{"port": 1}]}),
        ({"lines": ["a", "b"]}, {"lines": ["b"]}, {"lines": ["b"]}),
        ({"selector": {"a": "1", "b": "2"}}, {"selector": {"b": "2"}}, {"selector": {"b": "2"}}),
        ({"free": {"a": 1, "b": {"c": 2}}}, {"free": {"b": {"d": 3}}}, {"free": {"b": {"d": 3}}}),
    ],
)
def test_what_a_manager_no_longer_says_goes(first: Any, then: Any, left: Any) -> None:
    assert applied(applied(None, first), then)["spec"] == left


def test_what_somebody_else_owns_stays() -> None:
    shared = applied(applied(None, {"size": 1, "words": ["a"]}), {"size": 1}, "other")
    left = applied(shared, {"words": ["a"]})
    assert left["spec"] == {"size": 1, "words": ["a"]}
    assert owns(left) == ['.spec.words[="a"]']
    assert owns(left, "other") == [".spec.size"]


def test_what_nobody_owns_stays() -> None:
    live = applied(None, {"size": 1})
    live["spec"]["lines"] = ["defaulted"]
    assert applied(live, {})["spec"] == {"lines": ["defaulted"]}


def test_an_apply_that_changes_nothing_brings_no_new_time() -> None:
    live = applied(None, {"size": 1})
    assert applied(live, {"size": 1}, now="t2") == live
    joined = applied(live, {"size": 1}, "other", now="t2")["metadata"]["managedFields"]
    assert [(one["manager"], one.get("time")) for one in joined] == [("other", None), ("me", "t1")]


def test_changing_what_another_owns_is_a_conflict_unless_forced() -> None:
    live = applied(None, {"size": 1, "ports": [{"port": 80, "name": "a"}]})
    change = {"size": 2, "ports": [{"port": 80, "name": "b"}]}
    with pytest.raises(StatusError) as raised:
        applied(live, change, "other")
    assert raised.value.status() | {"metadata": None} == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": None,
        "status": "Failure",
        "message": (
            'Apply failed with 2 conflicts: conflicts with "me":\n'
            '- .spec.size\n- .spec.ports[port=80,protocol="TCP"].name'
        ),
        "reason": "Conflict",
        "details": {
            "causes": [
                {"reason": "FieldManagerConflict", "message": 'conflict with "me"', "field": path}
                for path in (".spec.size", '.spec.ports[port=80,protocol="TCP"].name')
            ]
        },
        "code": 409,
    }
    forced = applied(live, change, "other", force=True)
    assert forced["spec"] == change
    assert owns(forced) == ['.spec.ports[port=80,protocol="TCP"]', '.spec.ports[port=80,protocol="TCP"].port']


@pytest.mark.parametrize(
    "entries, text",
    [
        ([entry("ed", "spec.size")], 'conflict with "ed" using v1: .spec.size'),
        (
            [entry("ed", "spec.size", subresource="scale")],
            'conflict with "ed" with subresource "scale" using v1: .spec.size',
        ),
        ([entry("ed", "spec.size", operation="Apply")], 'conflict with "ed": .spec.size'),
    ],
)
def test_a_conflict_says_who_owns_the_field_and_how(entries: list[Any], text: str) -> None:
    with pytest.raises(StatusError) as raised:
        applied(thing({"size": 1}, managedFields=entries), {"size": 2})
    assert raised.value.message == f"Apply failed with 1 conflict: {text}"


def test_conflicts_of_several_managers_are_listed_by_manager() -> None:
    live = thing(
        {"size": 1, "lines": []}, managedFields=[entry("b", "spec.size"), entry("a", "spec.lines", "spec.size")]
    )
    with pytest.raises(StatusError) as raised:
        applied(live, {"size": 2, "lines": ["x"]})
    assert raised.value.message == (
        'Apply failed with 3 conflicts: conflicts with "a" using v1:\n- .spec.lines\n- .spec.size\n'
        'conflicts with "b" using v1:\n- .spec.size'
    )


@pytest.mark.parametrize(
    "live, config, merged",
    [
        ("abc", "b", "abc"),
        ("abc", "cb", "acb"),
        ("abc", "dc", "abdc"),
        ("abc", "xaz", "xabcz"),
        ("ab", "xbya", "xbya"),
        ("abcd", "db", "acdb"),
        ("", "ba", "ba"),
    ],
)
def test_list_elements_keep_the_live_order_unless_the_configuration_contradicts(
    live: str, config: str, merged: str
) -> None:
    obj = thing({"words": list(live)}, managedFields=[entry("other", "spec.words")])
    assert "".join(applied(obj, {"words": list(config)}, force=True)["spec"]["words"]) == merged


def test_objects_nobody_tracked_belong_to_before_first_apply() -> None:
    live = thing({"size": 1, "lines": []})
    with pytest.raises(StatusError, match=r'conflict with "before-first-apply" using v1: \.spec\.size'):
        applied(live, {"size": 2})
    assert owns(applied(live, {"size": 1}), "before-first-apply") == [".spec", ".spec.lines", ".spec.size"]


def test_status_is_not_applied_through_the_main_resource() -> None:
    obj = applied(None, {}, config=configuration({"size": 1}) | {"status": {"phase": "x"}})
    assert owns(obj) == [".spec.size"]


@pytest.mark.parametrize(
    "config, code, error",
    [
        (configuration() | {"kind": "Other"}, 400, "invalid object type: /v1, Kind=Other"),
        (configuration() | {"apiVersion": "apps/v1"}, 400, "invalid object type: apps/v1, Kind=Thing"),
        ({"kind": "Thing"}, 400, "invalid object type: /, Kind=Thing"),
        (configuration(managedFields=[]), 400, "metadata.managedFields must be nil"),
        (configuration({"nope": 1}), 500, ".spec.nope: field not declared in schema"),
        (configuration({"size": "x"}), 500, ".spec.size: expected numeric (int or float), got string"),
        (configuration({"words": {}}), 500, ".spec.words: expected list, got &{map[]}"),
        (configuration({"selector": []}), 500, ".spec.selector: expected map, got &{[]}"),
        (
            configuration({"lines": [1]}),
            500,
            ".spec.lines[0]: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (configuration({"words": ["a", "a"]}), 500, '.spec.words: duplicate entries for key [="a"]'),
        (
            configuration({"ports": [{"port": 1}, {"port": 1, "protocol": "TCP"}]}),
            500,
            '.spec.ports: duplicate entries for key [port=1,protocol="TCP"]',
        ),
        (
            configuration({"size": "x", "nope": 1}),
            500,
            "errors:\n  .spec.size: expected numeric (int or float), got string\n  .spec.nope: field not declared in schema",
        ),
    ],
)
def test_what_cannot_be_applied(config: Object, code: int, error: str) -> None:
    with pytest.raises(StatusError) as raised:
        applied(None, {}, config=config)
    prefix = "failed to create typed patch object (/a; /v1, Kind=Thing): " if code == 500 else ""
    assert (raised.value.code, raised.value.message) == (code, prefix + error)


def last_applied(spec: dict[str, Any], **metadata: Any) -> dict[str, str]:
    return {LAST_APPLIED: json.dumps(configuration(spec) | {"metadata": {"name": "a"} | metadata})}


def test_kubectl_takes_over_from_its_client_side_apply_without_conflicts() -> None:
    fields = [entry("kubectl-client-side-apply", "spec.size", "spec.lines")]
    live = thing(
        {"size": 1, "lines": ["x"]}, managedFields=fields, annotations=last_applied({"size": 1, "lines": ["x"]})
    )
    upgraded = applied(live, {"size": 2, "lines": ["x"]}, "kubectl")
    assert upgraded["spec"] == {"size": 2, "lines": ["x"]}
    assert (
        upgraded["metadata"]["annotations"][LAST_APPLIED] == go_json(configuration({"size": 2, "lines": ["x"]})) + "\n"
    )
    with pytest.raises(StatusError, match=r'conflict with "kubectl-client-side-apply" using v1: \.spec\.size'):
        applied(live, {"size": 2, "lines": ["x"]}, "another")


def test_kubectl_does_not_take_over_what_was_changed_since() -> None:
    fields = [entry("kubectl-client-side-apply", "spec.lines"), entry("editor", "spec.size")]
    live = thing(
        {"size": 5, "lines": ["x"]}, managedFields=fields, annotations=last_applied({"size": 1, "lines": ["x"]})
    )
    with pytest.raises(StatusError) as raised:
        applied(live, {"size": 2, "lines": ["y"]}, "kubectl")
    assert raised.value.message == 'Apply failed with 1 conflict: conflict with "editor" using v1: .spec.size'


def test_a_manager_that_changes_versions_gives_up_what_it_said_in_the_old_one() -> None:
    """v2 calls size "lines" (a list of one text); the object is stored in v1."""

    def convert(obj: Object, version: str) -> tuple[Object, Any]:
        spec = dict(obj.get("spec") or {})
        if obj["apiVersion"] == "v1" and version == "v2" and "size" in spec:
            spec["lines"] = [str(spec.pop("size"))]
        if obj["apiVersion"] == "v2" and version == "v1" and "lines" in spec:
            spec["size"] = int(spec.pop("lines")[0])
        return obj | {"apiVersion": version, "spec": spec}, SCHEMA

    said = entry("me", "spec.lines", operation="Apply", apiVersion="v2")
    live = thing({"size": 1, "words": ["w"]}, managedFields=[said])
    result = applied(live, {"selector": {"a": "b"}}, convert=convert)
    assert result["apiVersion"] == "v1"
    assert result["spec"] == {"words": ["w"], "selector": {"a": "b"}}
    assert [(one["apiVersion"], owned([one])) for one in result["metadata"]["managedFields"]] == [
        ("v1", [".spec.selector"])
    ]


def test_neither_the_live_object_nor_the_configuration_is_changed() -> None:
    live, config = applied(None, {"size": 1, "words": ["a"]}), configuration({"words": ["b"]})
    before = json.dumps([live, config])
    apply(live, config, SCHEMA, KIND, "me", False, "", "t2")
    assert json.dumps([live, config]) == before


ports = st.lists(
    st.fixed_dictionaries({"port": st.integers(1, 3)}, optional={"name": st.sampled_from("xy")}),
    max_size=3,
    unique_by=lambda port: port["port"],
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "size": st.integers(1, 2),
        "words": st.lists(st.sampled_from("abc"), unique=True, max_size=3),
        "lines": st.lists(st.sampled_from("ab"), max_size=2),
        "ports": ports,
        "selector": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), max_size=2),
        "free": st.dictionaries(st.sampled_from("ab"), st.sampled_from([1, "x", {"y": 1}, [1]]), max_size=2),
    },
)
histories = st.lists(st.tuples(st.sampled_from(["m1", "m2"]), specs), max_size=4)


def after(history: list[tuple[str, dict[str, Any]]]) -> Object | None:
    live: Object | None = None
    for manager, spec in history:
        live = applied(live, spec, manager, force=True)
    return live


@settings(max_examples=60, deadline=None)
@given(histories, specs)
def test_applying_twice_is_applying_once(history: list[Any], spec: dict[str, Any]) -> None:
    spec |= {"text": "x"}  # who owns nothing leaves an object that nobody tracks
    once = applied(after(history), spec, force=True)
    assert applied(once, spec, now="t2") == once


@settings(max_examples=60, deadline=None)
@given(histories, specs)
def test_an_applier_owns_what_it_says_whatever_went_before(history: list[Any], spec: dict[str, Any]) -> None:
    assert set(owns(applied(after(history), spec, force=True))) == set(owns(applied(None, spec)))


@settings(max_examples=60, deadline=None)
@given(specs, specs)
def test_managers_of_different_fields_may_come_in_any_order(left: dict[str, Any], right: dict[str, Any]) -> None:
    left = {name: value for name, value in left.items() if value} | {"text": "x"}
    right = {name: value for name, value in right.items() if value and name not in left} | {"flag": "y"}
    one = applied(applied(None, left, "m1"), right, "m2")
    other = applied(applied(None, right, "m2"), left, "m1")
    assert one["spec"] == other["spec"]
    assert owners_apart(one["metadata"].get("managedFields", []), other["metadata"].get("managedFields", [])) == (
        [],
        [],
    )


@settings(max_examples=60, deadline=None)
@given(specs, specs)
def test_a_manager_that_gives_everything_up_leaves_no_trace(theirs: dict[str, Any], guests: dict[str, Any]) -> None:
    """But for empty lists and maps: nobody owns those, so nobody takes them away."""
    live = applied(None, theirs | {"size": 1}, "host")
    guests = {name: value for name, value in guests.items() if name not in live["spec"] and value}
    gone = applied(applied(live, guests, "guest"), {}, "guest", config=NOTHING)
    assert gone == live


@settings(max_examples=60, deadline=None)
@given(specs, specs)
def test_owners_of_an_update_are_those_counted_from_scratch(before: dict[str, Any], now: dict[str, Any]) -> None:
    """The writer owns every path the update added or changed; the creator what is left of its own."""
    before, now = before | {"text": "x"}, now | {"text": "x"}  # without any owner nothing is tracked
    old = thing(before)
    old["metadata"]["managedFields"] = update_managed_fields(
        {"metadata": {}, "spec": {}}, old, SCHEMA, "m1", "v1", "", "t1"
    )
    entries = update_managed_fields(old, thing(now), SCHEMA, "m2", "v1", "", "t2")
    everything = set(
        owned(update_managed_fields({"metadata": {}, "spec": {}}, thing(now), SCHEMA, "m", "v1", "", "t"), "m")
    )
    first, second = set(owned(entries, "m1")), set(owned(entries, "m2"))
    assert first | second == everything
    assert not first & second


@needs_corpus
@pytest.mark.parametrize("scenario", [*scenarios("lifecycle"), "objects/server-side-apply"])
def test_recorded_applies_give_the_recorded_owners_and_conflicts(scenario: str) -> None:
    for step, live, answer in writes(scenario):
        request, status = step["request"], step["response"]["status"]
        content_type = (request.get("headers") or {}).get("content-type", "")
        query = request.get("query") or {}
        if "apply" not in content_type or request["path"].endswith("/scale") or not query.get("fieldManager"):
            continue
        shown = live or answer
        fields = schema(shown["apiVersion"], shown["kind"]) if shown["kind"] != "Status" else None
        if fields is None or (status == 422):
            continue
        group, version = split_api_version(shown["apiVersion"])
        kind, subresource = GVK(group, version, shown["kind"]), "status" if request["path"].endswith("/status") else ""
        arguments = (query["fieldManager"], query.get("force") == "true", subresource, "<time>")
        reset = MAIN.get(shown["kind"], STATUS) if not subresource else NOT_STATUS
        where = f"step {step['n']} {step.get('about', '')}"
        try:
            obj = apply(live, copy.deepcopy(request["body"]), fields, kind, *arguments, reset=reset)
        except StatusError as error:
            assert status == error.code, f"{where}: {error}"
            assert message(step) in (error.message, "<any>"), where
            continue
        assert status < 300, f"{where}: {message(step)}"
        recorded = answer["metadata"].get("managedFields", [])
        assert owners_apart(recorded, obj["metadata"].get("managedFields", [])) == ([], []), where
        assert times(recorded) == times(obj["metadata"].get("managedFields", [])), where


NOT_STATUS = excluding(of_paths([("f:spec",), field_path("metadata.labels")]))
# Strategies that reset more than status.
MAIN = {"CertificateSigningRequest": excluding(of_paths([("f:spec",), ("f:status",)]))}


def times(entries: list[Any]) -> list[Any]:
    return sorted((str(key), one.time) for key, one in decode_managed_fields(entries).items())


def test_paths_are_shown_in_one_order() -> None:
    assert list(map(path_text, paths(of_paths([("f:b", "f:c"), ("f:a", "f:d"), ("f:b",)])))) == [".b", ".a.d", ".b.c"]
