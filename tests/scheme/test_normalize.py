"""Empty lists: gone in most places, null where Go prints them, found without looking everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.resource import GVK
from ledger.scheme import types
from ledger.scheme.normalize import JSON_STORED, _empty_list_finder, normalize, without_empty_lists

POD, CONFIG_MAP = GVK("", "v1", "Pod"), GVK("", "v1", "ConfigMap")


def normal(kind: GVK, obj: dict[str, Any]) -> dict[str, Any]:
    return normalize(kind, obj, stored=False)


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        (POD, {"spec": {"containers": []}}),
        (POD, {"spec": {"containers": [{"name": "a"}], "volumes": [{"name": "v", "projected": {"sources": []}}]}}),
        (GVK("rbac.authorization.k8s.io", "v1", "Role"), {"rules": []}),
        (GVK("rbac.authorization.k8s.io", "v1", "Role"), {"rules": [{"verbs": []}]}),
        (GVK("scheduling.k8s.io", "v1beta1", "Workload"), {"spec": {"podGroupTemplates": []}}),
    ],
)
def test_required_lists_that_are_empty_come_back_from_the_store_as_null(kind: GVK, obj: dict[str, Any]) -> None:
    before = normal(kind, obj)
    assert "[]" in str(before)
    assert without_empty_lists(kind, before) == normalize(kind, before) != before


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        (POD, {"spec": {"containers": [{"name": "a", "args": ["b"]}]}}),
        (CONFIG_MAP, {"data": {"a": "[]"}}),
        (GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), {"spec": {"versions": []}}),
    ],
)
def test_an_object_without_such_a_list_is_left_as_it_is(kind: GVK, obj: dict[str, Any]) -> None:
    before = normal(kind, obj)
    assert without_empty_lists(kind, before) is before


def test_a_kind_that_cannot_have_such_a_list_is_not_looked_through() -> None:
    assert _empty_list_finder(types.kinds()[CONFIG_MAP]) is None
    for kind, type_id in types.kinds().items():
        if kind.group not in JSON_STORED:
            _empty_list_finder(type_id)  # also of types that contain themselves
