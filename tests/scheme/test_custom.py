"""From a definition to a resource, and what definitions are refused for."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ledger.scheme.custom import definition_of, storage_version_hash
from ledger.scheme.definition import ScalePaths
from ledger.scheme.scheme import builtin
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.validation import validate_create, validate_update

CRDS = next(one for one in builtin().definitions.values() if one.resource == "customresourcedefinitions")
STRING = {"type": "string"}


def schema(**properties: Any) -> dict[str, Any]:
    return {"openAPIV3Schema": {"type": "object", "properties": properties}}


def version(name: str = "v1", storage: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": storage, "schema": schema(a=STRING)} | more


def crd(*versions: dict[str, Any], established: bool = True, **spec: Any) -> dict[str, Any]:
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    conditions = [{"type": "Established", "status": "True"}] if established else None
    given = list(versions or [version()])
    stored = [one["name"] for one in given if one["storage"]]
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "widgets.x.example", "uid": "u", "resourceVersion": "1"},
        "spec": {"group": "x.example", "scope": "Namespaced", "names": names, "versions": given} | spec,
        "status": {"conditions": conditions, "acceptedNames": names if established else {}, "storedVersions": stored},
    }


# --- what a definition makes -----------------------------------------------------------------------------------------
def test_a_definition_serves_nothing_until_it_is_established() -> None:
    assert definition_of(crd(established=False)) is None


def test_names_come_from_what_was_accepted_not_from_what_is_wished() -> None:
    given = crd()
    given["spec"]["names"] = given["spec"]["names"] | {"kind": "Wish", "shortNames": ["w"]}
    definition = definition_of(given)
    assert definition is not None
    assert (definition.kind, definition.short_names) == ("Widget", ())


def test_a_version_knows_its_subresources_columns_and_fields() -> None:
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.s"}
    columns = [
        {"name": "A", "type": "string", "jsonPath": ".a"},
        {"name": "B", "type": "integer", "jsonPath": ".b", "description": "d", "priority": 1},
    ]
    given = version(
        subresources={"status": {}, "scale": scale},
        additionalPrinterColumns=columns,
        selectableFields=[{"jsonPath": ".a"}],
    )
    definition = definition_of(crd(given))
    assert definition is not None
    made = definition.versions["v1"]
    assert list(made.subresources) == ["status", "scale"]
    assert made.scale == ScalePaths("spec.n", "status.n", "status.s")
    assert made.selectable_fields == ("a",)
    assert [(one.name, one.path, one.priority) for one in made.columns] == [
        ("Name", "", 0),
        ("A", ".a", 0),
        ("B", ".b", 1),
    ]
    assert made.columns[1].description == "Custom resource definition column (in JSONPath format): .a"
    assert made.schema is not None and set(made.schema["properties"]) == {"a", "apiVersion", "kind", "metadata"}
    assert made.structural == given["schema"]["openAPIV3Schema"]


def test_without_columns_of_its_own_a_version_shows_name_and_age() -> None:
    definition = definition_of(crd())
    assert definition is not None
    assert [column.name for column in definition.versions["v1"].columns] == ["Name", "Age"]


@pytest.mark.parametrize("deprecated, warning", [
    ({"deprecated": True},                                "x.example/v1beta1 Widget is deprecated; use x.example/v2 Widget"),
    ({"deprecated": True, "deprecationWarning": "mine"},  "mine"),
    ({},                                                  ""),
])  # fmt: skip
def test_a_deprecated_version_names_the_best_one_there_is(deprecated: dict[str, Any], warning: str) -> None:
    definition = definition_of(crd(version("v1beta1", **deprecated), version("v1", False), version("v2", False)))
    assert definition is not None
    assert definition.versions["v1beta1"].deprecation_warning == warning


def test_a_terminating_definition_offers_less_and_takes_no_new_objects() -> None:
    given = crd()
    given["status"]["conditions"].append({"type": "Terminating", "status": "True"})
    definition = definition_of(given)
    assert definition is not None and definition.traits.more["terminating"]
    assert definition.traits.more["discovery_verbs"] == ("delete", "deletecollection", "get", "list", "watch")


def test_the_storage_version_hash_is_upstreams() -> None:
    # as a kube-apiserver told it
    assert storage_version_hash("lifecycle.crd.corpus.example", "v1", "Widget") == "e0fInvA/dSw="


# --- what a definition is refused for --------------------------------------------------------------------------------
def wrong(given: dict[str, Any]) -> list[str]:
    return [str(error) for error in validate_create(CRDS, given, Context())]


def with_schema(**properties: Any) -> dict[str, Any]:
    return crd(version(schema=schema(**properties)))


ROOT = "spec.validation.openAPIV3Schema"
AT = f"{ROOT}.properties[a]"


@pytest.mark.parametrize("given, errors", [
    (crd(), []),
    (crd(group=""),                         ['metadata.name: Invalid value: "widgets.x.example": must be spec.names.plural+"."+spec.group', "spec.group: Required value"]),
    (crd(scope="Galaxy"),                   ['spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"']),
    (crd(version(schema=None)),             ["spec.versions[0].schema.openAPIV3Schema: Required value"]),
    (crd(preserveUnknownFields=True),       ["spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"]),
    (with_schema(a={}),                     [f"{AT}.type: Required value: must not be empty for specified object fields"]),
    (with_schema(a={"type": "thing"}),      [f'{AT}.type: Unsupported value: "thing": supported values: "array", "boolean", "integer", "number", "object", "string"']),
    (with_schema(a={"type": "array"}),      [f"{AT}.items: Required value: must be specified"]),
    (with_schema(a={"$ref": "#/x"}),        [f"{AT}.$ref: Forbidden: $ref is not supported"]),
    (with_schema(a={"type": "string", "default": 1}),   [f'{AT}.default: Invalid value: "integer":  in body must be of type string: "integer"']),
    (with_schema(a={"type": "object", "default": {"x": 1}}), [f'{AT}.default: Invalid value: {{"x":1}}: must not have unknown fields']),
    (with_schema(a={"type": "string", "anyOf": [{"type": "string"}]}), [f"{AT}.anyOf[0].type: Forbidden: must be empty to be structural"]),
    (crd(version(schema={"openAPIV3Schema": {"type": "object", "not": {"properties": {"b": {}}}}})), [f"{ROOT}.properties[b]: Required value: because it is defined in {ROOT}.not.properties[b]"]),
    (with_schema(a={"type": "string", "pattern": "("}), [f'{AT}.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(`']),
    (with_schema(metadata={"type": "object", "properties": {"labels": {"type": "object"}}}), ["spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"]),
    (crd(version(selectableFields=[{"jsonPath": ".b"}])), ['spec.selectableFields[0].jsonPath: Invalid value: ".b": is an invalid path: does not refer to a valid field']),
    (crd(version(subresources={"scale": {"specReplicasPath": ".x", "statusReplicasPath": ".status.n"}})), ['spec.subresources.scale.specReplicasPath: Invalid value: ".x": should be a json path under .spec']),
    (crd(version(additionalPrinterColumns=[{"name": "x", "type": "string", "jsonPath": "a"}])), ['spec.additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path starting with .']),
    (crd(version(), version("v2", False, schema=schema(b={}))), ["spec.versions[1].schema.openAPIV3Schema.properties[b].type: Required value: must not be empty for specified object fields"]),
    (crd(conversion={"strategy": "Webhook"}), ["spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook", "spec.conversion.conversionReviewVersions: Required value"]),
])  # fmt: skip
def test_definitions_are_refused_in_upstreams_words(given: dict[str, Any], errors: list[str]) -> None:
    assert wrong(given) == errors


def test_versions_are_shown_as_Go_has_them() -> None:
    found = wrong(crd(version(storage=False)))
    assert found[0] == (
        'spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,'
        '"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}]: must have exactly one'
        " version marked as storage version"
    )


def test_an_established_definition_keeps_its_kind_and_scope() -> None:
    old = crd()
    new = deepcopy(old)
    new["spec"]["names"] = {**new["spec"]["names"], "kind": "Other"}
    new["spec"]["scope"] = "Cluster"
    found = [str(error) for error in validate_update(CRDS, new, old, Context())]
    assert found == [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'spec.names.kind: Invalid value: "Other": field is immutable',
    ]


def test_a_version_that_objects_may_be_stored_in_cannot_go() -> None:
    old = crd(version("v1"), version("v2", False))
    new = deepcopy(old)
    new["spec"]["versions"] = [version("v2")]
    new["status"]["storedVersions"] = ["v1", "v2"]
    found = [str(error) for error in validate_update(CRDS, new, old, Context())]
    assert found[0].startswith(
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version'
    )


def test_what_an_old_definition_did_wrong_is_not_held_against_an_update() -> None:
    loose = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "properties": {"k": STRING}},
    }
    old = with_schema(a=loose)
    assert len(wrong(old)) == 1
    new = deepcopy(old)
    new["metadata"]["labels"] = {"x": "y"}
    assert [str(error) for error in validate_update(CRDS, new, old, Context())] == []


def test_formats_that_mean_nothing_are_warned_of() -> None:
    context = Context()
    validate_create(CRDS, with_schema(a={"type": "string", "format": "odd"}), context)
    assert context.warnings == ['unrecognized format "odd"']
