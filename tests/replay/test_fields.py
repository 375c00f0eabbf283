"""Paths into objects, and differences field by field."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.replay.fielddiff import difference
from ledger.replay.paths import ABSENT, PathError, format_path, parse_path, value_at
from ledger.replay.text import field_text
from ledger.scheme.scheme import builtin

POD = {
    "metadata": {"annotations": {"checksum/config": "a1"}, "labels": {"a.b": "1"}},
    "spec": {
        "containers": [
            {"name": "orders", "image": "i:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
            {"name": "proxy", "image": "p:1"},
        ]
    },
}


@pytest.mark.parametrize(
    "path, value",
    [
        ("spec.containers[name=orders].image", "i:1"),
        ("spec.containers[1].image", "p:1"),
        ("spec.containers[-1].name", "proxy"),
        ("spec.containers.0.image", "i:1"),
        ('metadata.annotations["checksum/config"]', "a1"),
        ('metadata.labels["a.b"]', "1"),
        ("/spec/containers/0/image", "i:1"),
        ("/metadata/annotations/checksum~1config", "a1"),
        ("spec.containers[name=orders].ports[containerPort=80,protocol=TCP].protocol", "TCP"),
        ("spec.containers[name=none].image", ABSENT),
        ("spec.replicas", ABSENT),
        ("spec.containers[name=orders].image.tag", ABSENT),
    ],
)
def test_a_path_finds_its_value(path: str, value: Any) -> None:
    assert value_at(POD, parse_path(path)) == value


@pytest.mark.parametrize("path", ["spec.containers[name=orders].image", 'metadata.annotations["a/b"]', "spec.l[0].x"])
def test_a_path_prints_as_it_is_read(path: str) -> None:
    assert format_path(parse_path(path)) == path


@pytest.mark.parametrize("path", ["", "a.", "a[", "a[x", ".a", "a..b"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(PathError):
        parse_path(path)


def changed(before: Any, after: Any, **more: Any) -> list[str]:
    return [f"{one.mark} {format_path(one.path)}" for one in difference(before, after, **more).fields]


@pytest.mark.parametrize(
    "before, after, expected",
    [
        ({"data": {"a": "1"}}, {"data": {"a": "2"}}, ["~ data.a"]),
        ({"data": {"a": "1"}}, {"data": {"a": "1", "b": "2"}}, ["+ data.b"]),
        ({"data": {"a": "1"}}, {"data": {}}, ["- data.a"]),
        (
            {"metadata": {}},
            {"metadata": {"labels": {"x": "1", "y": "2"}}},
            ["+ metadata.labels.x", "+ metadata.labels.y"],
        ),
        (
            {"l": [{"name": "a", "v": 1}, {"name": "b"}]},
            {"l": [{"name": "b"}, {"name": "a", "v": 2}]},
            ["~ l[name=a].v"],
        ),
        ({"l": [{"name": "a"}]}, {"l": [{"name": "a"}, {"name": "b"}]}, ["+ l[name=b]"]),
        (
            {"c": [{"type": "Ready", "status": "True"}]},
            {"c": [{"type": "Ready", "status": "False"}]},
            ["~ c[type=Ready].status"],
        ),
        ({"l": ["a", "b"]}, {"l": ["a"]}, ["~ l"]),
        ({"l": [{"k": 1, "x": 1}, {"k": 1}]}, {"l": [{"k": 1, "x": 2}, {"k": 1}]}, ["~ l[0].x"]),
        ({"a": 1}, {"a": 1}, []),
    ],
)
def test_differences(before: Any, after: Any, expected: list[str]) -> None:
    assert changed(before, after) == expected


def test_a_schema_names_the_keys_of_lists() -> None:
    schema = next(v.schema for d in builtin().definitions.values() if d.kind == "Service" for v in d.versions.values())
    before = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP", "targetPort": 1}]}}
    after = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP", "targetPort": 2}]}}
    assert changed(before, after, schema=schema) == ["~ spec.ports[port=80,protocol=UDP].targetPort"]


def test_noise_is_counted_not_shown() -> None:
    before = {
        "metadata": {"resourceVersion": "1", "generation": 1, "managedFields": [1]},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "lastTransitionTime": "a"}]},
    }
    after = {
        "metadata": {"resourceVersion": "2", "generation": 2, "managedFields": [2]},
        "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "lastTransitionTime": "b"}]},
    }
    assert (changed(before, after), difference(before, after).noise) == ([], 4)
    assert len(changed(before, after, noise=True)) == 5


@pytest.mark.parametrize(
    "before, after, text",
    [
        ({"data": {"PORT": "5432"}}, {"data": {"PORT": "5433"}}, "PORT 5432 -> 5433"),
        ({"metadata": {"labels": {}}}, {"metadata": {"labels": {"by": "bob"}}}, '+ labels.by "bob"'),
        ({"spec": {"paused": True}}, {"spec": {}}, "- spec.paused"),
        ({"a": {"x/y": "1"}}, {"a": {"x/y": ""}}, 'x/y 1 -> ""'),
    ],
)
def test_a_change_in_one_line(before: Any, after: Any, text: str) -> None:
    assert field_text(difference(before, after).fields[0]) == text
