from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.apimachinery.patch_merge import apply_merge_patch, decode_merge_patch
from ledger.apimachinery.status import StatusError


@pytest.mark.parametrize(
    "document, patch, expected",
    [
        # RFC 7386, appendix A
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
        # upstream: nulls are taken out of new values, list elements excepted
        ("{}", '{"a":[null,{"b":null,"c":1}]}', '{"a":[null,{"c":1}]}'),
        ('{"a":{"x":1}}', '{"a":[{"b":null}]}', '{"a":[{"b":null}]}'),
        ('{"a":"s"}', '{"a":{"b":null}}', '{"a":{}}'),
    ],
)
def test_merge_patches(document: str, patch: str, expected: str) -> None:
    assert apply_merge_patch(json.loads(document), json.loads(patch)) == json.loads(expected)


@pytest.mark.parametrize(
    "patch, strict, message",
    [
        (
            [1],
            True,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            "x",
            True,
            "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}",
        ),
        (None, True, "Invalid JSON Patch"),
        (1, False, "Invalid JSON Patch"),
    ],
)
def test_what_is_no_merge_patch(patch: Any, strict: bool, message: str) -> None:
    with pytest.raises(StatusError) as raised:
        decode_merge_patch(patch, strict)
    assert (raised.value.code, raised.value.message) == (400, message)
