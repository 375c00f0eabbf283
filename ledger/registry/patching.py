"""From a patch's bytes to a function on objects, by its content type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ledger.apimachinery.patch_json import apply_json_patch, decode_json_patch
from ledger.apimachinery.patch_merge import apply_merge_patch, decode_merge_patch
from ledger.apimachinery.patch_strategic import apply_strategic_patch, decode_strategic_patch
from ledger.apimachinery.resource import Object, Schema
from ledger.apimachinery.status import StatusError
from ledger.scheme.body import has_duplicates
from ledger.scheme.strict import duplicates, parse

Patcher = Callable[[Object], Any]  # a copy of the object, patched; it may be no object any more


def patcher(patch_type: str, body: bytes, schema: Schema | None, strict: bool) -> tuple[Patcher, list[str]]:
    """The patch as a function, and what strict decoding complains of. Raises StatusError 400.

    `strict`: field validation is not Ignore. The function works on copies, so that it can be called again after a lost
    race; it raises StatusError 400, 422 or 500 when the patch does not fit the object.
    """
    if patch_type == "application/json-patch+json":
        _operations, complaints = decode_json_patch(_loads(body), strict)
        return lambda obj: apply_json_patch(_copy(obj), decode_json_patch(_loads(body), strict)[0]), complaints
    if patch_type == "application/merge-patch+json":
        decode_merge_patch(_loads(body), strict)
        return lambda obj: apply_merge_patch(_copy(obj), decode_merge_patch(_loads(body), strict)), _doubled(
            body, strict
        )
    decode_strategic_patch(_loads(body))
    fields = schema or {}
    return lambda obj: apply_strategic_patch(_copy(obj), decode_strategic_patch(_loads(body)), fields), _doubled(
        body, strict
    )


def _doubled(body: bytes, strict: bool) -> list[str]:
    """'duplicate field "data.x"', for each key that a patch has twice."""
    return list(duplicates(parse(body))) if strict and has_duplicates(body, _loads(body)) else []


def check_patch(body: bytes) -> Any:
    """The patch decoded, if it is JSON at all. Raises StatusError 400 (validateAndTranscodePatch)."""
    return _loads(body)


def _copy(obj: Object) -> Object:
    copied: Object = orjson.loads(orjson.dumps(obj))
    return copied


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise StatusError(400, "BadRequest", "invalid JSON patch") from None
