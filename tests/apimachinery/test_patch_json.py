from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.apimachinery.patch_json import PatchFailed, apply_json_patch, decode_json_patch
from ledger.apimachinery.status import StatusError

DOC = '{"a": {"b": 1, "n": null}, "l": [1, 2, 3], "a/b": "slash", "m~n": "tilde"}'


@pytest.mark.parametrize(
    "operation, changed",
    [
        # RFC 6902
        ({"op": "add", "path": "/c", "value": {"x": 1}}, {"c": {"x": 1}}),
        ({"op": "add", "path": "/l/1", "value": 9}, {"l": [1, 9, 2, 3]}),
        ({"op": "add", "path": "/l/3", "value": 9}, {"l": [1, 2, 3, 9]}),
        ({"op": "add", "path": "/l/-", "value": [4]}, {"l": [1, 2, 3, [4]]}),
        ({"op": "remove", "path": "/l/0"}, {"l": [2, 3]}),
        ({"op": "remove", "path": "/a/b"}, {"a": {"n": None}}),
        ({"op": "replace", "path": "/a/b", "value": "x"}, {"a": {"b": "x", "n": None}}),
        ({"op": "move", "from": "/l/0", "path": "/l/2"}, {"l": [2, 3, 1]}),
        ({"op": "copy", "from": "/l", "path": "/a/b"}, {"a": {"b": [1, 2, 3], "n": None}}),
        ({"op": "test", "path": "/a/b", "value": 1}, {}),
        ({"op": "test", "path": "/a", "value": {"n": None, "b": 1}}, {}),
        ({"op": "test", "path": "/a~1b", "value": "slash"}, {}),
        ({"op": "test", "path": "/m~0n", "value": "tilde"}, {}),
        ({"op": "add", "path": "/c", "value": 1, "more": True}, {"c": 1}),
        # the library's own ways
        ({"op": "add", "path": "/c"}, {"c": None}),
        ({"op": "add", "path": "ignored/c", "value": 1}, {"c": 1}),
        ({"op": "add", "path": "/l/-1", "value": 9}, {"l": [1, 2, 3, 9]}),
        ({"op": "add", "path": "/l/01", "value": 9}, {"l": [1, 9, 2, 3]}),
        ({"op": "remove", "path": "/l/-1"}, {"l": [1, 2]}),
        ({"op": "replace", "path": "/c", "value": 1}, {"c": 1}),
        ({"op": "copy", "from": "/none", "path": "/c"}, {"c": None}),
        ({"op": "test", "path": "/none", "value": None}, {}),
        ({"op": "test", "path": "/a/n"}, {}),
    ],
)
def test_one_operation(operation: dict[str, Any], changed: dict[str, Any]) -> None:
    assert apply_json_patch(json.loads(DOC), [operation]) == json.loads(DOC) | changed


@pytest.mark.parametrize(
    "operation, why",
    [
        ({}, "Unexpected kind: unknown"),
        ({"op": "fly", "path": "/a"}, "Unexpected kind: fly"),
        ({"op": "add", "value": 1}, "add operation failed to decode path: missing value"),
        ({"op": "add", "path": "", "value": 1}, 'add operation does not apply: doc is missing path: "": missing value'),
        (
            {"op": "add", "path": "data", "value": 1},
            'add operation does not apply: doc is missing path: "data": missing value',
        ),
        (
            {"op": "add", "path": "/x/y", "value": 1},
            'add operation does not apply: doc is missing path: "/x/y": missing value',
        ),
        (
            {"op": "add", "path": "/l/4", "value": 1},
            "error in add for path: '/l/4': Unable to access invalid index: 4: invalid index referenced",
        ),
        (
            {"op": "add", "path": "/l/x", "value": 1},
            "error in add for path: '/l/x': value was not a proper array index: 'x'",
        ),
        (
            {"op": "remove", "path": "/none"},
            "error in remove for path: '/none': Unable to remove nonexistent key: none: missing value",
        ),
        (
            {"op": "remove", "path": "/l/-4"},
            "error in remove for path: '/l/-4': Unable to access invalid index: -4: invalid index referenced",
        ),
        (
            {"op": "replace", "path": "/l/3", "value": 1},
            "error in remove for path: '/l/3': Unable to access invalid index: 3: invalid index referenced",
        ),
        ({"op": "replace", "path": "/a/b/c", "value": 1}, "replace operation does not apply: doc is missing path"),
        (
            {"op": "move", "path": "/x", "from": "/none"},
            "error in move for path: 'none': Unable to remove nonexistent key: none: missing value",
        ),
        ({"op": "move", "path": "/x"}, "move operation failed to decode from: missing value"),
        ({"op": "test", "path": "/a/b", "value": 1.0}, "testing value /a/b failed: test failed"),
        ({"op": "test", "path": "/a/b", "value": True}, "testing value /a/b failed: test failed"),
        ({"op": "test", "path": "/a/b"}, "testing value /a/b failed: test failed"),
        ({"op": "test", "path": "/l", "value": [1, 3, 2]}, "testing value /l failed: test failed"),
    ],
)
def test_an_operation_that_does_not_apply_is_422(operation: dict[str, Any], why: str) -> None:
    with pytest.raises(StatusError) as raised:
        apply_json_patch(json.loads(DOC), [operation])
    assert (raised.value.code, raised.value.reason, raised.value.details) == (422, "Invalid", {})
    assert raised.value.message == "the server rejected our request due to an error in our request"
    assert isinstance(raised.value.__cause__, PatchFailed)
    assert str(raised.value.__cause__).startswith(why)


@pytest.mark.parametrize(
    "patch, code, message",
    [
        ({}, 400, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ([1], 400, "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        (
            [{"op": 1}],
            400,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
        (
            [{}] * 10_001,
            413,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
    ],
)
def test_what_is_no_patch(patch: Any, code: int, message: str) -> None:
    with pytest.raises(StatusError) as raised:
        decode_json_patch(patch)
    assert (raised.value.code, raised.value.message) == (code, message)


def test_unknown_fields_of_operations_are_reported_unless_validation_is_off() -> None:
    patch = [{"op": "test", "path": "/a", "note": "x"}]
    assert decode_json_patch(patch) == (patch, ['json patch unknown field "[0].note"'])
    assert decode_json_patch(patch, strict=False) == (patch, [])


def test_copies_may_not_blow_a_document_up() -> None:
    document = {"a": "x" * (1 << 20)}
    operations = [{"op": "copy", "from": "/a", "path": f"/{index}"} for index in range(3)]
    with pytest.raises(StatusError) as raised:
        apply_json_patch(document, operations)
    assert "exceeding the limit 3145728" in str(raised.value.__cause__)
