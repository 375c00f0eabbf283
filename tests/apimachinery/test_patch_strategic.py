from __future__ import annotations

import copy
from typing import Any

import pytest

from ledger.apimachinery.patch_strategic import apply_strategic_patch, decode_strategic_patch
from ledger.apimachinery.status import StatusError
from tests.apimachinery.corpus import needs_corpus, schema

TEXT = {"type": "string"}
PORT = {"type": "object", "properties": {"port": {"type": "integer"}, "name": TEXT, "labels": {"type": "object"}}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "labels": {"type": "object", "additionalProperties": TEXT},
        "maps": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": TEXT}},
        "raw": {"type": "object"},
        "ports": {
            "type": "array",
            "items": {"allOf": [PORT]},
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "port",
        },
        "words": {"type": "array", "items": TEXT, "x-kubernetes-patch-strategy": "merge"},
        "rules": {"type": "array", "items": PORT},
        "sections": {"type": "array", "items": PORT, "x-kubernetes-patch-strategy": "merge"},
        "source": {
            "allOf": [
                {"type": "object", "properties": {"type": TEXT, "one": {"type": "object"}, "two": {"type": "object"}}}
            ],
            "x-kubernetes-patch-strategy": "retainKeys",
        },
        "whole": {
            "type": "object",
            "properties": {"a": TEXT, "b": TEXT},
            "x-kubernetes-patch-strategy": "replace",
        },
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": TEXT, "a": {"type": "object"}, "b": {"type": "object"}}},
            "x-kubernetes-patch-strategy": "merge,retainKeys",
            "x-kubernetes-patch-merge-key": "name",
        },
    },
}
SCHEMA["properties"]["self"] = SCHEMA


def ports(*numbers: int) -> list[dict[str, int]]:
    return [{"port": number} for number in numbers]


@pytest.mark.parametrize(
    "live, patch, expected",
    [
        # maps and scalars
        ({"name": "a", "labels": {"x": "1"}}, {"labels": {"y": "2"}}, {"name": "a", "labels": {"x": "1", "y": "2"}}),
        ({"labels": {"x": "1"}}, {"labels": {"x": None, "z": None}}, {"labels": {}}),
        ({"labels": {"x": "1"}}, {"labels": None}, {}),
        ({"name": "a"}, {"labels": {"x": "1", "y": None}}, {"name": "a", "labels": {"x": "1"}}),
        ({"self": {"self": {"name": "a"}}}, {"self": {"self": {"name": "b"}}}, {"self": {"self": {"name": "b"}}}),
        ({"labels": {"x": "1"}}, {"labels": {"$patch": "replace", "y": "2"}}, {"labels": {"y": "2"}}),
        ({"labels": {"x": "1"}, "name": "a"}, {"labels": {"$patch": "delete"}}, {"labels": {}, "name": "a"}),
        ({"name": "a"}, {"labels": {"$patch": "delete"}}, {"name": "a"}),
        ({"whole": {"a": "1"}}, {"whole": {"b": "2"}}, {"whole": {"b": "2"}}),
        ({"name": "a"}, {"$patch": "replace", "labels": {}}, {"labels": {}}),
        # lists of maps
        (
            {"ports": ports(1, 2)},
            {"ports": [{"port": 2, "name": "b"}]},
            {"ports": [{"port": 1}, {"port": 2, "name": "b"}]},
        ),
        ({"ports": ports(1, 2)}, {"ports": ports(3)}, {"ports": ports(3, 1, 2)}),
        ({"ports": ports(1, 2)}, {"ports": ports(3, 1)}, {"ports": ports(3, 1, 2)}),
        ({"ports": ports(1, 2, 3)}, {"ports": ports(3, 1)}, {"ports": ports(2, 3, 1)}),
        ({"ports": ports(1, 2)}, {"ports": [{"port": 1, "$patch": "delete"}]}, {"ports": ports(2)}),
        ({"ports": ports(1, 2)}, {"ports": [{"$patch": "replace"}, {"port": 9}]}, {"ports": ports(9)}),
        ({"ports": ports(1, 2)}, {"ports": [{"$patch": "replace"}]}, {"ports": []}),
        ({"name": "a"}, {"ports": [{"port": 1, "$patch": "delete"}, {"port": 2}]}, {"name": "a", "ports": ports(2)}),
        ({"rules": ports(1, 2)}, {"rules": ports(3)}, {"rules": ports(3)}),
        # lists of scalars
        ({"words": ["a", "b"]}, {"words": ["c", "a"]}, {"words": ["c", "a", "b"]}),
        ({"words": ["a", "b", "c"]}, {"$deleteFromPrimitiveList/words": ["b", "x"]}, {"words": ["a", "c"]}),
        (
            {"words": ["a", "b"]},
            {"$deleteFromPrimitiveList/words": ["a"], "words": ["c"], "$setElementOrder/words": ["b", "c"]},
            {"words": ["b", "c"]},
        ),
        ({"name": "a"}, {"$deleteFromPrimitiveList/words": ["a"]}, {"name": "a"}),
        (
            {"words": ["a", "b"]},
            {"words": ["a", "c"], "$deleteFromPrimitiveList/words": ["a", "b"]},
            {"words": ["a", "c"]},
        ),
        # order
        (
            {"ports": ports(1, 2, 3)},
            {"$setElementOrder/ports": ports(3, 4, 1), "ports": ports(4)},
            {"ports": ports(2, 3, 4, 1)},
        ),
        ({"ports": ports(1, 2, 3)}, {"$setElementOrder/ports": ports(3, 2, 1)}, {"ports": ports(3, 2, 1)}),
        (
            {"name": "a"},
            {"$setElementOrder/ports": ports(1, 2), "ports": ports(1, 2)},
            {"name": "a", "ports": ports(1, 2)},
        ),
        (
            {"ports": ports(1, 2, 3)},
            {"$setElementOrder/ports": ports(1, 3), "ports": [{"port": 2, "$patch": "delete"}]},
            {"ports": ports(1, 3)},
        ),
        # retained keys
        (
            {"source": {"type": "one", "one": {"a": 1}}},
            {"source": {"$retainKeys": ["type", "two"], "type": "two", "two": {"b": 1}}},
            {"source": {"type": "two", "two": {"b": 1}}},
        ),
        (
            {"items": [{"name": "v", "a": {}}, {"name": "w"}]},
            {"items": [{"name": "v", "$retainKeys": ["name", "b"], "b": {}}]},
            {"items": [{"name": "v", "b": {}}, {"name": "w"}]},
        ),
        # what changes its type is replaced
        ({"labels": "broken"}, {"labels": {"x": "1", "y": None}}, {"labels": {"x": "1"}}),
    ],
)
def test_strategic_merge(live: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert apply_strategic_patch(copy.deepcopy(live), copy.deepcopy(patch), SCHEMA) == expected


@pytest.mark.parametrize(
    "live, patch, code, message",
    [
        (
            {"labels": {}},
            {"labels": {"$patch": "nonsense"}},
            500,
            "unknown patch type: nonsense in map: map[$patch:nonsense]",
        ),
        (
            {"ports": ports(1)},
            {"ports": [{"port": 1, "$patch": "merge"}]},
            500,
            "merging lists cannot yet be specified in the patch",
        ),
        (
            {"ports": ports(1)},
            {"ports": [{"name": "x"}]},
            500,
            "map: map[name:x] does not contain declared merge key: port",
        ),
        ({"sections": ports(1)}, {"sections": ports(1)}, 500, "cannot merge lists without merge key for struct"),
        ({"words": ["a"]}, {"words": [1]}, 500, "list element types are not identical: [[a] [1]]"),
        (
            {"words": ["a"]},
            {"words": [["b"]]},
            422,
            "the server rejected our request due to an error in our request",
        ),
        ({"source": {}}, {"source": {"$retainKeys": ["type"], "two": {}}}, 400, "invalid patch format of retainKeys"),
        ({"source": {}}, {"source": {"$retainKeys": "type"}}, 400, "invalid patch format of retainKeys"),
        (
            {"ports": ports(1)},
            {"$setElementOrder/ports": {}},
            500,
            "expected a []interface {}, but received a map[string]",
        ),
        (
            {"ports": ports(1)},
            {"$setElementOrder/ports": ports(1), "ports": ports(2)},
            500,
            "The order in patch list:\n[map[port:2]]\n doesn't match $setElementOrder list:\n[map[port:1]]\n",
        ),
        (
            {"maps": {"a": {"b": "1"}}},
            {"maps": {"a": {"b": "2"}}},
            500,
            "merging an object in json but data type is not struct, instead is: map",
        ),
    ],
)
def test_what_does_not_merge(live: dict[str, Any], patch: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(StatusError) as raised:
        apply_strategic_patch(copy.deepcopy(live), copy.deepcopy(patch), SCHEMA)
    assert raised.value.code == code
    assert raised.value.message.startswith(message)


def test_a_strategic_patch_is_an_object() -> None:
    assert decode_strategic_patch(None) == {}
    with pytest.raises(StatusError, match="json: cannot unmarshal array into Go value of type map"):
        decode_strategic_patch([])


@needs_corpus
def test_the_real_schema_knows_how_containers_and_volumes_merge() -> None:
    live = {
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {
                "spec": {
                    "containers": [{"name": "a", "image": "1", "ports": [{"containerPort": 80}]}, {"name": "b"}],
                    "volumes": [{"name": "v", "emptyDir": {}}],
                }
            },
        }
    }
    patch = {
        "spec": {
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "template": {
                "spec": {
                    "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
                    "containers": [{"name": "a", "image": "2", "args": ["x"]}, {"name": "c"}],
                    "volumes": [
                        {"$retainKeys": ["hostPath", "name"], "name": "v", "hostPath": {"path": "/"}, "emptyDir": None}
                    ],
                }
            },
        }
    }
    patched = apply_strategic_patch(live, patch, schema("apps/v1", "Deployment"))
    assert patched["spec"]["strategy"] == {"type": "Recreate"}
    assert patched["spec"]["template"]["spec"] == {
        "containers": [
            {"name": "a", "image": "2", "args": ["x"], "ports": [{"containerPort": 80}]},
            {"name": "b"},
            {"name": "c"},
        ],
        "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
    }
