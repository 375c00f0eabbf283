from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.names import FORMATS
from ledger.apimachinery.objectmeta import (
    validate_field_manager,
    validate_managed_fields,
    validate_object_meta,
    validate_object_meta_update,
    validate_standard_finalizers,
)
from ledger.apimachinery.status import invalid
from tests.apimachinery.corpus import message, needs_corpus, steps

SUBDOMAIN = FORMATS["dns1123-subdomain"]
OLD = {"name": "a", "namespace": "ns", "uid": "1", "creationTimestamp": "t", "resourceVersion": "1", "generation": 2}


@pytest.mark.parametrize(
    "meta, error",
    [
        ({"namespace": "ns"}, "metadata.name: Required value: name or generateName is required"),
        ({"name": "a"}, "metadata.namespace: Required value"),
        ({"name": "a", "namespace": "ns", "generation": -1}, "metadata.generation: Invalid value: -1: must be greater"),
        (
            {"name": "a", "namespace": "ns", "finalizers": ["orphan", "foregroundDeletion"]},
            'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foreground',
        ),
        (
            {"name": "a", "namespace": "ns", "annotations": {"k": "v" * (256 << 10)}},
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
        (
            {"generateName": "AB-", "name": "a", "namespace": "ns"},
            'metadata.generateName: Invalid value: "AB-": a lowercase',
        ),
    ],
)
def test_what_the_metadata_of_a_new_object_may_not_be(meta: dict[str, Any], error: str) -> None:
    assert [str(one)[: len(error)] for one in validate_object_meta(meta, True, SUBDOMAIN)] == [error]


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    meta = {"name": "a", "namespace": "ns"}
    assert list(map(str, validate_object_meta(meta, False, SUBDOMAIN))) == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


@pytest.mark.parametrize(
    "change, errors",
    [
        ({}, []),
        ({"labels": {"a": "b"}, "generation": 3, "resourceVersion": "2"}, []),
        ({"uid": "2"}, ['metadata.uid: Invalid value: "2": field is immutable']),
        ({"name": "b"}, ['metadata.name: Invalid value: "b": field is immutable']),
        ({"deletionTimestamp": "t"}, ['metadata.deletionTimestamp: Invalid value: "t": field is immutable']),
        ({"generation": 1}, ["metadata.generation: Invalid value: 1: must not be decremented"]),
        ({"resourceVersion": ""}, ['metadata.resourceVersion: Invalid value: "": must be specified for an update']),
        ({"finalizers": ["x.example/a"]}, []),
    ],
)
def test_what_an_update_may_change(change: dict[str, Any], errors: list[str]) -> None:
    assert list(map(str, validate_object_meta_update(OLD | change, OLD))) == errors


def test_no_finalizer_joins_while_the_object_is_deleted() -> None:
    old = OLD | {"deletionTimestamp": "t", "finalizers": ["x.example/a", "x.example/b"]}
    assert not validate_object_meta_update(old | {"finalizers": ["x.example/b"]}, old)
    (error,) = validate_object_meta_update(old | {"finalizers": ["x.example/a", "x.example/c"]}, old)
    assert str(error) == (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"x.example/c"}'
    )


def test_managed_fields_name_a_known_operation_and_format() -> None:
    entries = [{"operation": "Update"}, {"operation": "Merge", "fieldsType": "FieldsV2"}, {}]
    assert list(map(str, validate_managed_fields(entries, "m"))) == [
        'm[1].operation: Unsupported value: "Merge": supported values: "Apply", "Update"',
        'm[1].fieldsType: Invalid value: "FieldsV2": must be `FieldsV1`',
        "m[2].operation: Required value: must not be empty",
    ]


def test_a_field_manager_is_printable_and_short() -> None:
    assert validate_field_manager("kubectl-client-side-apply") == []
    assert [str(one) for one in validate_field_manager("a\nb")] == [
        'fieldManager: Invalid value: "a\\nb": invalid character U+000A (at position 1)'
    ]
    assert [one.type for one in validate_field_manager("a" * 129)] == ["TooLong"]


@needs_corpus
@pytest.mark.parametrize("step", steps("objects/metadata-validation"), ids=lambda step: f"{step['n']}")
def test_recorded_metadata_findings(step: dict[str, Any]) -> None:
    request, body = step["request"], step["request"].get("body") or {}
    if step["response"]["status"] not in (201, 422) or body.get("kind") not in ("ConfigMap", "Service", "Secret"):
        pytest.skip("not about metadata")
    meta = {"namespace": "ns"} | body["metadata"]
    if meta.get("generateName"):
        meta = {"name": "generated"} | meta
    name_format = FORMATS["dns1123-label" if body["kind"] == "Service" else "dns1123-subdomain"]
    errors = validate_object_meta(meta, True, name_format) + validate_standard_finalizers(meta.get("finalizers"))
    if step["response"]["status"] == 201:
        assert errors == []
    else:
        assert invalid("", body["kind"], body["metadata"].get("name", ""), errors).message == message(step), request
