"""Empty lists: gone in most places, null where Go prints them, found without looking everywhere."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ledger.apimachinery.resource import GVK
from ledger.scheme import types
from ledger.scheme.normalize import (
    JSON_STORED,
    UnknownField,
    _empty_list_finder,
    normal_form,
    normalize,
    without_empty_lists,
)

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


def test_the_order_of_keys_a_client_chose_never_shows(seed: int = 20261128) -> None:
    """Plans are remembered by the keys of what comes along, in their order; more orders than are remembered."""
    chance = random.Random(seed)
    metadata = {"name": "a", "labels": {"b": "1"}, "uid": "u", "namespace": "n", "generation": 3, "finalizers": ["x"]}
    expected = str(normal(CONFIG_MAP, {"metadata": metadata}))
    for _ in range(200):
        names = chance.sample([*metadata, *(f"unknown{n}" for n in range(3))], k=len(metadata) + 3)
        shuffled = {name: metadata.get(name, 1) for name in names}
        assert str(normal(CONFIG_MAP, {"metadata": shuffled})) == expected, f"seed {seed}: {names}"
        with pytest.raises(UnknownField):
            normal_form(types.kinds()[CONFIG_MAP], {"metadata": shuffled}, known=True)
