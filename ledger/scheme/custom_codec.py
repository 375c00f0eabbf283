"""Bodies of custom resources: untyped but for their metadata (schemaCoercingDecoder of k8s.io/apiextensions-apiserver)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ledger.apimachinery import cbor_codec, json_codec
from ledger.apimachinery.field import quoted
from ledger.apimachinery.negotiation import CBOR, JSON, PROTOBUF, YAML
from ledger.apimachinery.resource import GVK
from ledger.scheme import protobuf, strict, types
from ledger.scheme.body import Refused, has_duplicates, interpret, read_json, read_yaml, tree_of
from ledger.scheme.normalize import Mismatch, struct_converter

Prune = Callable[[dict[str, Any]], list[str]]  # takes fields out, in place, and gives their paths


def decode_custom(
    body: bytes, media_type: str, check: bool, prune: Prune | None
) -> tuple[dict[str, Any], GVK, list[str]]:
    """(the object, its kind, what a strict decoding complains of); raises Refused and ProtobufError."""
    value, gvk, complaints = _read_custom(body, media_type, check)
    obj = go_numbers(value)
    if "metadata" in obj:
        obj["metadata"], unknown = object_meta(obj["metadata"], gvk)
        complaints += [f"unknown field {quoted(f'metadata.{path}')}" for path in unknown]
    if prune:
        complaints += [f"unknown field {quoted(path)}" for path in prune(obj)]
    return obj, gvk, complaints


def object_meta(metadata: Any, gvk: GVK) -> tuple[dict[str, Any], list[str]]:
    """(metadata through Go's ObjectMeta, paths of the fields that has not), as custom resources get it.

    Raises `Refused` where Go could not decode it.
    """
    type_id = types.META + "ObjectMeta"
    convert = struct_converter(type_id, False, True)
    try:
        return convert({} if metadata is None else metadata), []
    except Mismatch:
        exact = strict.decode(strict.tree(_sorted(metadata)), type_id)
        if exact.error:
            raise Refused(exact.error, gvk) from None
        unknown = [one.removeprefix("unknown field ")[1:-1] for one in exact.strict_errors]
        return convert(exact.obj), unknown


def _sorted(value: Any) -> Any:
    """With keys as Go's encoder orders those of a map."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _read_custom(body: bytes, media_type: str, check: bool) -> tuple[dict[str, Any], GVK, list[str]]:
    complaints: list[str] = []
    read_tree: Callable[[], Any]
    if media_type == PROTOBUF:
        version, kind, _ = protobuf.open_envelope(body)
        why = "does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
        raise Refused(f"object *unstructured.Unstructured {why}", protobuf.kind_of(version, kind))
    if media_type == CBOR:
        try:
            value = cbor_codec.loads(body)
        except cbor_codec.CborError as error:
            raise Refused(str(error)) from None
        read_tree = tree_of(value)
    elif media_type == YAML:
        value, complaints = read_yaml(body, check)
        read_tree = tree_of(value)
    else:
        value, read_tree = read_json(body, GVK("", "", ""))
        if has_duplicates(body, value) and check:
            complaints.extend(strict.duplicates(strict.parse(body)))
    gvk = interpret(value, read_tree)
    if media_type == JSON and (beyond := _number_beyond(body, value)):
        raise Refused(f"json: cannot unmarshal number {beyond} into Go value of type float64", gvk)
    if type(value) is not dict or not gvk.kind:
        text = json_codec.text_of(body) if media_type != CBOR else ""
        raise Refused(f"Object 'Kind' is missing in '{text}'", gvk)
    return value, gvk, complaints


def _number_beyond(body: bytes, value: Any) -> str:
    """The first number that no float64 can hold, as it was written."""
    if b"e" not in body and b"E" not in body:
        return ""

    def first(node: Any) -> str:
        if isinstance(node, strict.Number):
            return node.text if not math.isfinite(float(node.text)) else ""
        children = [one for _, one in node] if isinstance(node, strict.Members) else node
        return next(filter(None, map(first, children)), "") if isinstance(node, list) else ""

    return first(strict.parse(body)) if _has_infinity(value) else ""


def _has_infinity(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_infinity, value.values()))
    return isinstance(value, list) and any(map(_has_infinity, value))


def go_numbers(value: Any) -> Any:
    """Numbers as Go's untyped decoding keeps and prints them: int64 where they are whole, else the shortest float."""
    if type(value) is dict:
        return {key: go_numbers(one) for key, one in value.items()}
    if type(value) is list:
        return [go_numbers(one) for one in value]
    if isinstance(value, float):
        return _go_float(value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        return _go_float(float(value))
    return value


def _go_float(value: float) -> Any:
    if value.is_integer():
        if abs(value) < 2**53:
            return int(value)
        if abs(value) < 1e21:
            digits, _, exponent = repr(value).partition("e+")
            whole, _, fraction = digits.partition(".")
            shown = whole + fraction.rstrip("0").ljust(int(exponent), "0") if exponent else whole
            return json_codec.Literal(shown)
    return float(value)
