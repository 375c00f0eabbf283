from __future__ import annotations

import copy
from typing import Any

import pytest

from ledger.apimachinery import fieldset
from ledger.apimachinery.fieldset import excluding, field_path, of_paths, path_text, paths
from ledger.apimachinery.managedentries import BadManagedFields, decode_managed_fields, encode_managed_fields
from ledger.apimachinery.managedfields import keep_times_if_unchanged, manager_name, update_managed_fields
from ledger.apimachinery.resource import GVK, split_api_version
from ledger.apimachinery.scalefields import after_scale
from ledger.scheme.normalize import normalize
from tests.apimachinery.corpus import Step, needs_corpus, scenarios, schema, writes

TEXT = {"type": "string"}
LABELS = {"type": "object", "additionalProperties": TEXT}
PORT = {
    "type": "object",
    "properties": {"port": {"type": "integer"}, "protocol": TEXT | {"default": "TCP"}, "name": TEXT},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "apiVersion": TEXT,
        "kind": TEXT,
        "metadata": {
            "type": "object",
            "properties": {"name": TEXT, "uid": TEXT, "labels": LABELS, "annotations": LABELS},
        },
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "text": TEXT,
                "flag": TEXT,
                "ports": {
                    "type": "array",
                    "items": {"allOf": [PORT]},
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                },
                "words": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
                "lines": {"type": "array", "items": TEXT},
                "selector": LABELS | {"x-kubernetes-map-type": "atomic"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "raw": {"type": "object"},
            },
        },
        "status": {"type": "object", "properties": {"phase": TEXT}},
    },
}
EMPTY: dict[str, Any] = {"metadata": {}, "spec": {}}
STATUS = excluding(of_paths([("f:status",)]))


def thing(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a", "uid": "1"} | metadata, "spec": spec or {}}


def entry(manager: str, *owned: str, time: str = "t1", **more: Any) -> dict[str, Any]:
    """An Update entry; `owned` are paths as messages show them, of fields only."""
    fields = fieldset.canonical(of_paths(map(field_path, owned)))
    head = {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": time}
    return head | {"fieldsType": "FieldsV1", "fieldsV1": fields} | more


def update(old: dict[str, Any], new: dict[str, Any], manager: str = "me", now: str = "t2", **more: Any) -> Any:
    more = {"api_version": "v1", "subresource": "", "reset": STATUS} | more
    return update_managed_fields(old, new, SCHEMA, manager, now=now, **more)


def owned(entries: list[dict[str, Any]], manager: str = "me") -> list[str]:
    """What a manager owns, as messages show it."""
    return [path_text(path) for one in entries if one["manager"] == manager for path in paths(one["fieldsV1"])]


@pytest.mark.parametrize(
    "spec, paths_owned",
    [
        ({}, []),
        ({"size": 1}, [".spec.size"]),
        (
            {"ports": [{"port": 80}]},
            [".spec.ports", '.spec.ports[port=80,protocol="TCP"]', '.spec.ports[port=80,protocol="TCP"].port'],
        ),
        ({"words": ["b", "a"]}, [".spec.words", '.spec.words[="a"]', '.spec.words[="b"]']),
        ({"lines": ["b", "a"]}, [".spec.lines"]),
        ({"lines": []}, [".spec.lines"]),
        ({"selector": {"a": "b"}}, [".spec.selector"]),
        ({"free": {"a": {"b": [1]}}}, [".spec.free", ".spec.free.a", ".spec.free.a.b"]),
        ({"raw": {"a": {"b": 1}}}, [".spec.raw"]),
        ({"words": ["a", "a"]}, [".spec.words", '.spec.words[="a"]']),
    ],
)
def test_who_creates_an_object_owns_what_it_says(spec: dict[str, Any], paths_owned: list[str]) -> None:
    entries = update(EMPTY, thing(spec))
    assert owned(entries) == paths_owned
    assert [one.get("time") for one in entries] == ["t2"] * bool(paths_owned)


def test_nobody_owns_names_versions_and_status_written_elsewhere() -> None:
    new = thing({"size": 1}, labels={"a": "b"}, generation=1, resourceVersion="1", creationTimestamp="t")
    assert owned(update(EMPTY, new | {"status": {"phase": "x"}})) == [
        ".metadata.labels",
        ".metadata.labels.a",
        ".spec.size",
    ]


def test_a_writer_takes_what_it_changes() -> None:
    old = thing({"size": 1, "lines": []}, managedFields=[entry("other", "spec.size", "spec.lines")])
    entries = update(old, thing({"size": 2, "lines": []}))
    assert owned(entries, "other") == [".spec.lines"]
    assert owned(entries) == [".spec.size"]


def test_what_is_removed_is_nobodys() -> None:
    old = thing({"size": 1}, managedFields=[entry("other", "spec.size")])
    assert update(old, thing({})) == []


def test_a_write_that_changes_nothing_leaves_entries_and_times() -> None:
    fields = [entry("me", "spec.size")]
    assert update(thing({"size": 1}, managedFields=fields), thing({"size": 1}, managedFields=fields)) == fields


def test_writes_of_one_manager_in_one_version_share_an_entry() -> None:
    old = thing({"size": 1}, managedFields=[entry("me", "spec.size")])
    (one,) = update(old, thing({"size": 1, "lines": []}))
    assert (owned([one]), one["time"]) == ([".spec.lines", ".spec.size"], "t2")
    assert len(update(old, thing({"size": 1, "lines": []}), api_version="v2")) == 2
    assert len(update(old, thing({"size": 1, "lines": []}), subresource="status")) == 2


@pytest.mark.parametrize("reset", [[], [{}]])
def test_an_empty_list_from_the_client_resets_managedFields(reset: list[Any]) -> None:
    old = thing({"size": 1}, managedFields=[entry("me", "spec.size")])
    assert update(old, thing({"size": 2}, managedFields=reset)) == []
    assert update(thing({"size": 2}), thing({"size": 3})) == []  # and an update does not begin them again


def test_managedFields_from_the_client_count_unless_they_are_nonsense_or_on_a_subresource() -> None:
    old = thing({"size": 1, "lines": []}, managedFields=[entry("live", "spec.size")])
    given = thing({"size": 1, "lines": []}, managedFields=[entry("given", "spec.lines")])
    assert owned(update(old, given), "given") == [".spec.lines"]
    assert owned(update(old, given, subresource="status"), "live") == [".spec.size"]
    given["metadata"]["managedFields"][0]["operation"] = "Nonsense"
    assert owned(update(old, given), "live") == [".spec.size"]


def test_an_object_that_does_not_fit_its_schema_keeps_its_managedFields() -> None:
    fields = [entry("me", "spec.size")]
    old = thing({"size": 1}, managedFields=fields)
    assert update(old, thing({"size": 2, "ports": [None]})) == fields


def test_of_more_than_ten_update_managers_the_oldest_are_joined() -> None:
    obj = thing({}, labels={str(number): "x" for number in range(12)})
    fields = [entry(f"m{number:02}", time=f"t{number:02}") for number in range(11)]
    for number, one in enumerate(fields):
        one["fieldsV1"] = {"f:metadata": {"f:labels": {f"f:{number}": {}}}}
    entries = update(
        obj | {"metadata": obj["metadata"] | {"managedFields": fields}}, obj | {"spec": {"size": 1}}, now="t99"
    )
    assert len(entries) == 10
    assert owned(entries, "ancient-changes") == [f".metadata.labels.{number}" for number in range(3)]
    assert [one["time"] for one in entries if one["manager"] == "ancient-changes"] == ["t02"]


def test_a_list_that_became_one_piece_is_owned_as_one_piece() -> None:
    old_fields = {"f:spec": {"f:lines": {".": {}, 'v:"a"': {}}, "f:selector": {"f:a": {}}}}
    old = thing({"lines": ["a"], "selector": {"a": "b"}}, managedFields=[entry("other") | {"fieldsV1": old_fields}])
    assert owned(update(old, thing(old["spec"] | {"size": 1})), "other") == [".spec.lines", ".spec.selector"]


def test_duplicate_elements_are_owned_together() -> None:
    double = [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]
    fields = update(EMPTY, thing({"ports": [{"port": 1, "name": "a"}]}))
    entries = update(thing({"ports": double[:1]}, managedFields=fields), thing({"ports": double}), manager="other")
    assert owned(entries, "other") == ['.spec.ports[port=1,protocol="TCP"]']
    assert owned(entries) == [".spec.ports"]


def test_owners_in_other_versions_are_asked_about_the_object_in_their_version() -> None:
    def convert(obj: dict[str, Any], version: str) -> tuple[dict[str, Any], Any] | None:
        if version == "v0":
            return None
        return obj | {"apiVersion": version, "spec": {"lines": [str(obj["spec"].get("size"))]}}, SCHEMA

    gone, other = entry("gone", "spec.size", apiVersion="v0"), entry("other", "spec.lines", apiVersion="v2")
    old = thing({"size": 1}, managedFields=[gone, other])
    assert owned(update(old, thing({"size": 1}), convert=convert), "other") == [".spec.lines"]
    entries = update(old, thing({"size": 2}), convert=convert)
    assert [one["manager"] for one in entries] == ["me"]


def test_entries_are_sorted_by_operation_time_and_name() -> None:
    entries = [
        entry("b", "a", time="t1"),
        entry("c", "a", time="t0"),
        entry("a", "a", time="t1"),
        entry("z", "a", time="t9", operation="Apply"),
        entry("a", "a", time="t1", subresource="status"),
    ]
    ordered = encode_managed_fields(decode_managed_fields(entries))
    assert [(one["manager"], one["operation"], one.get("time"), one.get("subresource")) for one in ordered] == [
        ("z", "Apply", "t9", None),
        ("c", "Update", "t0", None),
        ("a", "Update", "t1", None),
        ("a", "Update", "t1", "status"),
        ("b", "Update", "t1", None),
    ]


@pytest.mark.parametrize(
    "change, error",
    [
        ({"operation": "Merge"}, "operation must be `Apply` or `Update`"),
        ({"apiVersion": ""}, "apiVersion must not be empty"),
        ({"fieldsType": ""}, "missing fieldsType in managed fields entry 0"),
        ({"fieldsType": "V2"}, 'invalid fieldsType "V2" in managed fields entry 0'),
        ({"fieldsV1": {"x": {}}}, "error decoding versioned set"),
    ],
)
def test_entries_that_cannot_be_read(change: dict[str, Any], error: str) -> None:
    with pytest.raises(BadManagedFields, match=error):
        decode_managed_fields([entry("me", "spec.size") | change])


@pytest.mark.parametrize(
    "field_manager, user_agent, name",
    [
        ("mine", "kubectl/v1.37", "mine"),
        ("", "kubectl/v1.37 (linux/amd64)", "kubectl"),
        ("", "Go-http-client", "Go-http-client"),
        ("", "a\tb/1", "ab"),
        ("", "é" * 100, "é" * 64),
        ("", "", ""),
    ],
)
def test_the_manager_of_a_request(field_manager: str, user_agent: str, name: str) -> None:
    assert manager_name(field_manager, user_agent) == name


def test_a_request_without_a_manager_is_unknowns() -> None:
    assert [one["manager"] for one in update(EMPTY, thing({"size": 1}), manager="")] == ["unknown"]


def test_a_new_time_alone_is_no_change() -> None:
    old = thing({"size": 1}, managedFields=[entry("me", "spec.size", time="t1")])
    new = thing({"size": 1}, managedFields=[entry("me", "spec.size", time="t2")])
    keep_times_if_unchanged(new, old)
    assert new == old
    changed = thing({"size": 2}, managedFields=[entry("me", "spec.size", time="t2")])
    keep_times_if_unchanged(changed, old)
    assert changed["metadata"]["managedFields"][0]["time"] == "t2"


REPLICAS = {"v1": field_path("spec.size")}


def test_a_write_through_scale_is_tracked_where_somebody_owns_the_replicas() -> None:
    live = [entry("a", "spec.size", "spec.lines"), entry("b", "spec.lines")]
    scaler = entry("scaler", "spec.size", subresource="scale")
    updated = [scaler, entry("a", "spec.lines"), entry("b", "spec.lines")]
    timeless = {name: value for name, value in scaler.items() if name != "time"}
    assert after_scale(live, updated, REPLICAS) == [timeless, *updated[1:]]
    unowned = [entry("a", "spec.lines")]
    assert after_scale(unowned, updated, REPLICAS) == unowned
    assert after_scale([entry("a", "spec.size", apiVersion="v0")], updated, REPLICAS)[0]["apiVersion"] == "v0"


# What strategies and admission fill in after ownership is settled.
SET_BY_THE_SERVER = (
    ".nodePort",
    ".metadata.deletionTimestamp",
    ".metadata.deletionGracePeriodSeconds",
    ".deprecated.daemonset.template.generation",
)


@needs_corpus
@pytest.mark.parametrize("scenario", scenarios("lifecycle") + scenarios("objects"))
def test_recorded_managedFields_follow_from_the_answers_before_and_after(scenario: str) -> None:
    for step, before, after in writes(scenario):
        request = step["request"]
        content_type = (request.get("headers") or {}).get("content-type", "")
        if step["response"]["status"] >= 300 or "apply" in content_type or "managedFields" in str(request.get("body")):
            continue
        if request["path"].endswith(("/status", "/scale", "/binding", "/eviction", "/approval", "/finalize", "/token")):
            continue
        create = request["method"] == "POST"
        if before is None and not create:
            continue
        old, new = before if before and not create else created_from(step, after), prepared(step, after)
        manager = manager_name((request.get("query") or {}).get("fieldManager", ""), "corpus/1")
        fields = schema(after["apiVersion"], after["kind"])
        if fields is None:
            continue
        entries = update_managed_fields(old, new, fields, manager, after["apiVersion"], "", "<time>", STATUS)
        missing, extra = owners_apart(after["metadata"].get("managedFields", []), entries)
        assert not missing, f"step {step['n']} {step.get('about', '')}"
        assert create or not extra, f"step {step['n']} {step.get('about', '')}"


def owners_apart(recorded: list[Any], computed: list[Any]) -> tuple[list[str], list[str]]:
    """What only the recorded, and only the computed entries say: "manager operation .path"."""

    def lines(entries: list[Any]) -> set[str]:
        return {
            f"{key.manager} {key.operation} {key.subresource} {path_text(path)}"
            for key, one in decode_managed_fields(entries).items()
            for path in paths(one.fields)
            if not path_text(path).endswith(SET_BY_THE_SERVER)
        }

    return sorted(lines(recorded) - lines(computed)), sorted(lines(computed) - lines(recorded))


def created_from(step: Step, answer: dict[str, Any]) -> dict[str, Any]:
    """The kind's empty object."""
    group, version = split_api_version(answer["apiVersion"])
    return normalize(GVK(group, version, answer["kind"]), {})


def prepared(step: Step, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as it was before managedFields were settled; a given empty list is one until it is stored."""
    new = copy.deepcopy(answer)
    new["metadata"].pop("managedFields", None)
    body = step["request"].get("body")
    if step["request"]["method"] == "POST" and isinstance(body, dict):
        new |= {name: [] for name, value in body.items() if value == []}
    return new
