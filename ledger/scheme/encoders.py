"""Objects to response bytes in each media type, as kube-apiserver's serializers print them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from ledger.apimachinery import cbor_codec, json_codec, yaml_text
from ledger.apimachinery.negotiation import CBOR, PROTOBUF, YAML
from ledger.apimachinery.resource import GVK
from ledger.apimachinery.status import StatusError
from ledger.scheme import protobuf

_CHUNK_BYTES = 256 * 1024


def encode(obj: dict[str, Any], gvk: GVK, media_type: str, *, pretty: bool = False, custom: bool = False) -> bytes:
    """The object as a response body. `gvk` is the object's own; `custom`: it is a custom resource, printed sorted.

    Raises StatusError 406 for protobuf where the kind has no such form.
    """
    if media_type == YAML:
        return yaml_text.dumps(obj)
    if media_type == PROTOBUF:
        body = None if custom else protobuf.encode(gvk, obj)
        if body is None:
            raise not_marshalable("*unstructured.Unstructured" if custom else f"*v1.{gvk.kind}")
        return body
    if media_type == CBOR:
        return cbor_codec.dumps(obj)
    return encode_json(obj, pretty=pretty, custom=custom)


def encode_json(obj: Any, *, pretty: bool = False, custom: bool = False) -> bytes:
    """JSON with the line end that Go's encoder adds, which indented JSON does not get."""
    if pretty:
        return json_codec.dumps_pretty(_sorted(obj) if custom else obj)
    return (json_codec.dumps_sorted(obj) if custom else json_codec.dumps(obj)) + b"\n"


def json_head(gvk: GVK) -> bytes:
    """What stands before the stored bytes (without their opening brace) of an object in a JSON answer."""
    return orjson.dumps({"kind": gvk.kind, "apiVersion": gvk.api_version})[:-1] + b","


def json_list(gvk: GVK, metadata: dict[str, Any], items: Iterable[bytes]) -> Iterator[bytes]:
    """A JSON list in chunks, from items that are JSON already. `gvk` is the list's."""
    head = {"kind": gvk.kind, "apiVersion": gvk.api_version, "metadata": metadata}
    chunk = [json_codec.dumps(head)[:-1] + b',"items":[']
    size, separator = 0, b""
    for item in items:
        chunk += (separator, item)
        separator = b","
        size += len(item) + 1
        if size > _CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    chunk.append(b"]}\n")
    yield b"".join(chunk)


def json_watch_frame(event_type: str, obj: bytes) -> bytes:
    """One line of a JSON watch; `obj` is JSON without its line end."""
    return b'{"type":"' + event_type.encode() + b'","object":' + obj + b"}\n"


def not_marshalable(go_type: str) -> StatusError:
    """406: the object has no protobuf form."""
    why = "does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
    return StatusError(406, "NotAcceptable", f"object {go_type} {why}")


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value
