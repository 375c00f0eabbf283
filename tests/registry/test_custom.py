"""Custom resources on their way in and out: versions, status, generation, and the schema of the moment."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.registry.custom import Customs
from ledger.scheme.custom import definition_of
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies import Context

CUSTOMS = Customs()
JSON = "application/json"


def schema(**spec: Any) -> dict[str, Any]:
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": {"type": "object", "properties": spec}, "status": status}
    return {"openAPIV3Schema": {"type": "object", "properties": properties}}


def definition(*versions: dict[str, Any], **spec: Any) -> ResourceDefinition:
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    whole = {"group": "x.example", "scope": "Namespaced", "names": names, "versions": list(versions), **spec}
    status = {"acceptedNames": names, "conditions": [{"type": "Established", "status": "True"}]}
    made = definition_of({"metadata": {"name": "widgets.x.example"}, "spec": whole, "status": status})
    assert made is not None
    return made


V1 = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": schema(a={"type": "string"}),
    "subresources": {"status": {}},
}
V2 = {
    "name": "v2",
    "served": True,
    "storage": False,
    "schema": schema(a={"type": "string"}, b={"type": "string", "default": "d"}),
}
TWO = definition(V1, V2)


def widget(version: str = "v1", *, spec: Any = None, **more: Any) -> Object:
    obj: Object = {"kind": "Widget", "apiVersion": f"x.example/{version}", "metadata": {"name": "w", "namespace": "ns"}}
    return obj | ({"spec": spec} if spec is not None else {}) | more


def decoded(body: bytes, field_validation: str = "Warn") -> tuple[Object, list[str]]:
    return CUSTOMS.decode(TWO, TWO.versions["v1"], body, JSON, field_validation)


BODY = b'{"kind":"Widget","apiVersion":"x.example/v1","metadata":{"name":"w","odd":1},"spec":{"a":"x","z":1}}'


def test_what_the_schema_does_not_have_is_warned_of_and_gone() -> None:
    obj, warnings = decoded(BODY)
    assert obj["spec"] == {"a": "x"} and obj["metadata"] == {"name": "w"}
    assert warnings == ['unknown field "metadata.odd"', 'unknown field "spec.z"']
    assert decoded(BODY, "Ignore")[1] == []
    with pytest.raises(StatusError, match="strict decoding error") as refused:
        decoded(BODY, "Strict")
    assert refused.value.code == 400


def test_a_patched_object_is_refused_as_a_patch() -> None:
    with pytest.raises(StatusError, match=r'unknown field "spec\.z"') as refused:
        CUSTOMS.redecode(TWO, TWO.versions["v1"], widget(spec={"z": 1}), "Strict")
    assert refused.value.code == 422


def test_the_schema_of_the_storage_version_prunes_what_is_stored() -> None:
    obj = widget("v2", spec={"a": "x", "b": "y"})
    assert CUSTOMS.at_rest(TWO, obj) == widget("v1", spec={"a": "x"})
    assert obj["spec"] == {"a": "x", "b": "y"}


def test_what_is_read_has_the_defaults_of_the_version_it_is_stored_in() -> None:
    later = definition({**V1, "schema": schema(a={"type": "string", "default": "new"})}, V2)
    assert CUSTOMS.from_storage(later, later.versions["v1"], widget(spec={"gone": 1})) == widget(spec={"a": "new"})
    assert CUSTOMS.from_storage(later, later.versions["v2"], widget(spec={})) == widget("v2", spec={"a": "new"})


def test_a_webhooks_word_is_not_guessed() -> None:
    asked = definition(V1, V2, conversion={"strategy": "Webhook"})
    assert CUSTOMS.from_storage(asked, asked.versions["v1"], widget(spec={})) == widget(spec={})
    with pytest.raises(StatusError, match=r"conversion webhook for x\.example/v1, Kind=Widget failed") as refused:
        CUSTOMS.from_storage(asked, asked.versions["v2"], widget(spec={}))
    assert refused.value.code == 500


def context(version: str = "v1") -> Context:
    return Context(User("u"), "2024-01-01T00:00:00Z", version)


def test_status_is_written_through_its_own_endpoint_only() -> None:
    created = widget(spec={"a": "x"}, status={"s": 1})
    CUSTOMS.before_create(TWO, created, context())
    assert "status" not in created and created["metadata"]["generation"] == 1

    old = widget(spec={"a": "x"}, status={"s": 1})
    old["metadata"] |= {"resourceVersion": "5", "generation": 1, "uid": "u"}
    new = {**old, "metadata": dict(old["metadata"]), "spec": {"a": "y"}, "status": {"s": 2}}
    CUSTOMS.before_update(TWO, "", new, old, context())
    assert (new["status"], new["metadata"]["generation"]) == ({"s": 1}, 2)

    new = {**old, "metadata": {**old["metadata"], "labels": {"l": "x"}}, "spec": {"a": "y"}, "status": {"s": 2}}
    CUSTOMS.before_update(TWO, "status", new, old, context())
    assert (new["spec"], new["status"], new["metadata"]) == ({"a": "x"}, {"s": 2}, old["metadata"])


def test_without_a_status_endpoint_the_status_is_plain() -> None:
    created = widget("v2", spec={}, status={"s": 1})
    CUSTOMS.before_create(TWO, created, context("v2"))
    assert created["status"] == {"s": 1}


def test_another_kind_in_the_body_is_a_finding() -> None:
    obj = widget(spec={}) | {"kind": "Other"}
    with pytest.raises(
        StatusError, match=r'^Other\.x\.example "w" is invalid: kind: Invalid value: "Other": must be Widget$'
    ):
        CUSTOMS.before_create(TWO, obj, context())


def test_a_finalizer_without_a_domain_is_warned_of() -> None:
    obj = widget(spec={})
    obj["metadata"]["finalizers"] = ["mine", "x.example/theirs"]
    told = context()
    CUSTOMS.before_create(TWO, obj, told)
    assert [warning.split(":")[1] for warning in told.warnings] == [' "mine"']
