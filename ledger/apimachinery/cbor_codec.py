"""CBOR as Kubernetes speaks it: self-described, text as byte strings, map keys sorted, JSON's value space only.

See k8s.io/apimachinery/pkg/runtime/serializer/cbor. Byte strings that are meant as base64 (tags 21 to 23) become that
text, as they would in JSON.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Mapping
from typing import Any

import cbor2

SELF_DESCRIBED = b"\xd9\xd9\xf7"
_DEPTH_MAX = 64  # of upstream's decoder


class CborError(ValueError):
    """The bytes are no CBOR that JSON could hold."""


def dumps(value: Any) -> bytes:
    """The value with the self-describing tag; deterministic."""
    return SELF_DESCRIBED + cbor2.dumps(_outgoing(value))


def loads(data: bytes) -> Any:
    """The value; raises CborError."""
    try:
        with io.BytesIO(data.removeprefix(SELF_DESCRIBED)) as stream:
            value = cbor2.CBORDecoder(stream, tag_hook=_tagged).decode()
            rest = stream.read(1)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, OverflowError) as error:
        raise CborError(f"cbor: {error}") from None
    if rest:
        raise CborError(f"cbor: {len(data)} bytes of extraneous data")
    return _incoming(value, 0)


def _outgoing(value: Any) -> Any:
    """Text as bytes, keys in bytewise order of their encoding: shorter ones first, then by bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, dict):
        keyed = sorted(((key.encode("utf-8", "replace"), one) for key, one in value.items()), key=_key_order)
        return {key: _outgoing(one) for key, one in keyed}
    if isinstance(value, list):
        return [_outgoing(one) for one in value]
    return float(value) if isinstance(value, float) else value


def _key_order(pair: tuple[bytes, Any]) -> tuple[int, bytes]:
    return len(pair[0]), pair[0]


def _incoming(value: Any, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        raise CborError(f"cbor: exceeded max nested level {_DEPTH_MAX}")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise CborError("cbor: invalid UTF-8 string") from None
    if isinstance(value, Mapping):
        return {_key(key): _incoming(one, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):  # below a tag cbor2 makes everything immutable
        return [_incoming(one, depth + 1) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        raise CborError(f"cbor: cannot unmarshal integer {value} into Go value of type int64")
    if isinstance(value, float) and not math.isfinite(value):
        raise CborError("cbor: floating-point NaN or infinity is not accepted")
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise CborError(f"cbor: unrecognized value of type {type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, (bytes, str)):
        return key.decode("utf-8", "replace") if isinstance(key, bytes) else key
    raise CborError("cbor: map key is of type that cannot be used as a JSON name")


def _tagged(tag: cbor2.CBORTag, immutable: bool = False) -> Any:
    value = tag.value
    if tag.tag == 55799:
        return value
    if isinstance(value, bytes) and tag.tag in (21, 22, 23):
        if tag.tag == 21:
            return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
        return base64.b64encode(value).decode() if tag.tag == 22 else binascii.hexlify(value).decode()
    raise CborError(f"cbor: unrecognized tag number {tag.tag}")
