"""Kubernetes' protobuf, driven by the Go types' facts: objects as decoded JSON to wire bytes and back.

An object travels as `k8s\\0` + runtime.Unknown{TypeMeta, raw}. Like Go's generated code the encoder writes every field
that is no pointer, zero or not, in order of its number, and maps in order of their keys; so equal objects have equal
bytes, and these are the bytes the real server sends. Both directions are compiled once per type. The upb runtime of the
`protobuf` package was measured too: it costs as much with the walk to and from JSON forms and is less exact (ADR 0006).
"""

from __future__ import annotations

import binascii
import struct
from functools import cache
from typing import Any

from ledger.apimachinery.resource import GVK, split_api_version
from ledger.scheme import types
from ledger.scheme.protobuf_special import ABSENT, SPECIAL, SPECIAL_ZERO, Decode, Encode, decode_raw, encode_raw
from ledger.scheme.protobuf_wire import (
    ONE_BYTE,
    ProtobufError,
    expect,
    sized,
    sized_fields,
    text_at,
    varint,
    wire_fields,
)

MAGIC = b"k8s\0"


# --- whole objects ---------------------------------------------------------------------------------------------------
def encode(gvk: GVK, obj: dict[str, Any]) -> bytes | None:
    """The object in its envelope; None for kinds that have no protobuf form (custom resources, tables)."""
    raw = encode_message(gvk, obj)
    return None if raw is None else envelope(gvk.api_version, gvk.kind, raw)


def encode_message(gvk: GVK, obj: dict[str, Any]) -> bytes | None:
    """The object without an envelope, as it stands inside lists; None for kinds that have no protobuf form."""
    id = types.type_of(gvk)
    if id is None or not types.go_type(id).message:
        return None
    return _encoder(id)(obj)


def has_form(gvk: GVK) -> bool:
    """Whether the kind can be written as protobuf."""
    id = types.type_of(gvk)
    return id is not None and types.go_type(id).message


def decode(gvk: GVK, message: bytes) -> dict[str, Any]:
    """The fields that are on the wire, under their JSON names; `normalize` adds and drops what Go prints or not.

    Raises ProtobufError.
    """
    id = types.type_of(gvk)
    assert id is not None, gvk
    decoded: dict[str, Any] = _decoder(id)(message, 0, len(message))
    return decoded


def envelope(version: str, kind: str, raw: bytes) -> bytes:
    meta = b"\x0a" + sized(version.encode()) + b"\x12" + sized(kind.encode())
    return MAGIC + b"\x0a" + sized(meta) + b"\x12" + sized(raw) + b"\x1a\0\x22\0"


def open_envelope(body: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, message); raises ProtobufError with the texts of protobuf.Serializer.Decode."""
    if not body:
        raise ProtobufError("empty data")
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    if len(body) == len(MAGIC):
        raise ProtobufError("empty body")
    version = kind = ""
    raw = b""
    for number, wire, value in wire_fields(body, len(MAGIC), len(body)):
        if number > 4:
            continue
        expect(wire, 2, ("TypeMeta", "Raw", "ContentEncoding", "ContentType")[number - 1])
        start, end = value
        if number == 1:
            for inner, inner_wire, (a, z) in sized_fields(body, start, end):
                expect(inner_wire, 2, "Kind" if inner == 2 else "APIVersion")
                version, kind = (text_at(body, a, z), kind) if inner == 1 else (version, text_at(body, a, z))
        elif number == 2:
            raw = body[start:end]
    return version, kind, raw


def watch_frame(event_type: str, obj: bytes) -> bytes:
    """One frame of a protobuf watch: four bytes of length and a WatchEvent holding `obj`, an envelope."""
    event = b"\x0a" + sized(event_type.encode()) + b"\x12" + sized(b"\x0a" + sized(obj))
    return struct.pack(">I", len(event)) + event


def list_bytes(version: str, kind: str, list_meta: dict[str, Any], items: list[bytes]) -> bytes:
    """A list in its envelope, from items that are encoded already (field 2 of every list kind)."""
    meta = _encoder(types.META + "ListMeta")(list_meta)
    return envelope(version, kind, b"\x0a" + sized(meta) + b"".join([b"\x12" + sized(item) for item in items]))


def kind_of(version: str, kind: str) -> GVK:
    return GVK(*split_api_version(version), kind)


# --- encoding --------------------------------------------------------------------------------------------------------
@cache
def _encoder(id: str) -> Encode:
    """The function for a message; its plan is filled on first use, so types may contain themselves."""
    special = SPECIAL.get(id) or _union(id)
    if special:
        return special[0]
    if types.go_type(id).of:
        return _items_encoder(id)
    plan: list[tuple[str, Encode, bytes | Encode]] = []

    def encode_struct(obj: Any) -> bytes:
        if not plan:
            plan.extend(_encode_plan(id))
        parts = []
        get = obj.get
        for name, encode_field, absent in plan:
            value = get(name) if name else obj
            if value is not None:
                parts.append(encode_field(value))
            elif absent:
                parts.append(absent if isinstance(absent, bytes) else absent({}))
        return b"".join(parts)

    return encode_struct


def _encode_plan(id: str) -> list[tuple[str, Encode, bytes | Encode]]:
    """(JSON name or empty for an inlined struct, encoder with its tag, what an absent field becomes) by number."""
    plan: list[tuple[str, Encode, bytes | Encode]] = [("", lambda _: b"", b"")]
    for field in sorted(types.go_type(id).fields, key=lambda one: one.number):
        if field.number:
            plan.append((field.json, *_field_encoder(field.number, field.type)))
    return plan


def _field_encoder(number: int, expression: str) -> tuple[Encode, bytes | Encode]:
    """(the encoder of a present value, what an absent one becomes: bytes, or an encoder that is given {})."""
    if types.parse(expression).form == "named" and types.go_type(expression).of and types.go_type(expression).message:
        return _message_field(number, _items_encoder(expression)), b""
    expression, (form, element, _) = types.resolve(expression)
    if form == "pointer":
        return _field_encoder(number, element)[0], b""
    if form == "list":
        one = _field_encoder(number, element)[0]
        return (lambda values: b"".join([one(value) for value in values])), b""
    if form == "map":
        return _map_encoder(number, element), b""
    if form == "named":
        encode_message = _message_field(number, _encoder(expression))
        if expression in SPECIAL or _union(expression):
            return encode_message, encode_message(SPECIAL_ZERO.get(expression, ABSENT))
        return encode_message, encode_message
    return _basic_encoder(number, expression)


def _message_field(number: int, encode_value: Encode) -> Encode:
    tag = varint(number << 3 | 2)

    def encode_field(value: Any) -> bytes:
        body = encode_value(value)
        size = len(body)
        return tag + (ONE_BYTE[size] if size < 128 else varint(size)) + body

    return encode_field


def _basic_encoder(number: int, expression: str) -> tuple[Encode, bytes]:
    if expression == "string":
        tag = varint(number << 3 | 2)

        def encode_text(value: str) -> bytes:
            body = value.encode("utf-8", "replace")
            size = len(body)
            return tag + (ONE_BYTE[size] if size < 128 else varint(size)) + body

        return encode_text, tag + b"\0"
    if expression == "[]uint8":
        return _message_field(number, binascii.a2b_base64), b""
    if expression == "float64":
        tag = varint(number << 3 | 1)
        return (lambda value: tag + struct.pack("<d", value)), tag + bytes(8)
    tag = varint(number << 3)
    if expression == "bool":
        yes, no = tag + b"\1", tag + b"\0"
        return (lambda value: yes if value else no), no
    return (lambda value: tag + varint(value)), tag + b"\0"


def _map_encoder(number: int, element: str) -> Encode:
    encode_key = _basic_encoder(1, "string")[0]
    encode_value, absent = _field_encoder(2, element)
    entry = _message_field(number, lambda body: body)

    def value_bytes(value: Any) -> bytes:
        if value is not None:
            return encode_value(value)
        return absent if isinstance(absent, bytes) else absent({})

    def encode_map(values: dict[str, Any]) -> bytes:
        return b"".join([entry(encode_key(key) + value_bytes(values[key])) for key in sorted(values)])

    return encode_map


def _items_encoder(id: str) -> Encode:
    """Named slices are messages with one repeated field."""
    encode_items = _field_encoder(1, types.go_type(id).of)[0]
    return encode_items


# --- decoding --------------------------------------------------------------------------------------------------------
_ONE, _REPEATED, _INLINE, _MAP = range(4)


@cache
def _decoder(id: str) -> Decode:
    special = SPECIAL.get(id) or _union(id)
    if special:
        return special[1]
    if types.go_type(id).of:
        return _items_decoder(id)
    plan: dict[int, tuple[int, str, int, Decode, str]] = {}
    short = types.go_type(id).short

    def decode_struct(data: bytes, start: int, end: int) -> dict[str, Any]:
        if not plan:
            plan[0] = (0, "", 0, _no_decoder, "")
            plan.update(_decode_plan(id))
        out: dict[str, Any] = {}
        for number, wire, value in wire_fields(data, start, end, short):
            known = plan.get(number)
            if known is None or not number:
                continue
            how, name, expected, decode_value, go_name = known
            if wire != expected:
                expect(wire, expected, go_name)
            decoded = decode_value(data, value[0], value[1]) if wire == 2 else decode_value(data, value, 0)
            if how == _ONE:
                out[name] = decoded
            elif how == _REPEATED:
                out.setdefault(name, []).append(decoded)
            elif how == _MAP:
                out.setdefault(name, {}).__setitem__(*decoded)
            else:
                out.update(decoded)
        return out

    return decode_struct


def _decode_plan(id: str) -> dict[int, tuple[int, str, int, Decode, str]]:
    """number -> (how it joins the object, JSON name, wire type, decoder, Go name)."""
    plan = {}
    for field in types.go_type(id).fields:
        if not field.number:
            continue
        _, (form, element, _) = types.resolve(field.type)
        message = types.parse(field.type).form == "named" and types.go_type(field.type).message
        how = _INLINE if not field.json else _ONE
        value_type = field.type
        if form == "pointer":
            value_type = element
        elif form == "list" and not message:
            how, value_type = _REPEATED, element
        elif form == "map":
            plan[field.number] = (_MAP, field.json, 2, _map_decoder(element), field.go)
            continue
        wire, decode_value = _value_decoder(value_type)
        plan[field.number] = (how, field.json, wire, decode_value, field.go)
    return plan


def _value_decoder(expression: str) -> tuple[int, Decode]:
    """(wire type, decoder)."""
    if types.parse(expression).form == "named" and types.go_type(expression).message:
        return 2, _decoder(expression)
    expression, (form, element, _) = types.resolve(expression)
    if form == "pointer":
        return _value_decoder(element)
    if form == "named":
        return 2, _decoder(expression)
    return _BASIC_DECODERS[expression]


def _map_decoder(element: str) -> Decode:
    wire_expected, decode_value = _value_decoder(element)
    absent = "" if types.resolve(element)[0] in ("string", "[]uint8") else None

    def decode_entry(data: bytes, start: int, end: int) -> tuple[str, Any]:
        key, value = "", absent
        for number, wire, at in wire_fields(data, start, end):
            if number == 1 and wire == 2:
                key = text_at(data, *at)
            elif number == 2:
                expect(wire, wire_expected, "value")
                value = decode_value(data, *at) if wire == 2 else decode_value(data, at, 0)
        return key, value

    return decode_entry


def _items_decoder(id: str) -> Decode:
    _, (_, element, _) = types.resolve(id)
    decode_item = _value_decoder(element)[1]

    def decode_items(data: bytes, start: int, end: int) -> list[Any]:
        return [decode_item(data, *at) for _, _, at in sized_fields(data, start, end)]

    return decode_items


def _no_decoder(data: bytes, start: int, end: int) -> Any:
    raise AssertionError("field number 0")


_BASIC_DECODERS: dict[str, tuple[int, Decode]] = {
    "string": (2, text_at),
    "[]uint8": (2, lambda data, start, end: binascii.b2a_base64(data[start:end], newline=False).decode()),
    "bool": (0, lambda _, value, __: value != 0),
    "int32": (0, lambda _, value, __: (value + 2**31) % 2**32 - 2**31),
    "int64": (0, lambda _, value, __: value - 2**64 if value >> 63 else value),
    "float64": (1, lambda _, value, __: struct.unpack("<d", struct.pack("<Q", value))[0]),
}


# --- the unions of apiextensions -------------------------------------------------------------------------------------
@cache
def _union(id: str) -> tuple[Encode, Decode] | None:
    """Opaque JSON and the JSON schema unions of apiextensions."""
    if id.endswith(types.OPAQUE_SUFFIX):
        return encode_raw, decode_raw
    if not id.endswith((types.OR_BOOL_SUFFIX, types.OR_ARRAY_SUFFIX, types.OR_STRINGS_SUFFIX)):
        return None
    schema = id.rpartition(".")[0] + ".JSONSchemaProps"
    or_bool, strings = id.endswith(types.OR_BOOL_SUFFIX), id.endswith(types.OR_STRINGS_SUFFIX)

    def encode_union(value: Any) -> bytes:
        if or_bool:
            allowed = b"\x08\0" if value is False or value is ABSENT else b"\x08\1"
            return allowed + (b"\x12" + sized(_encoder(schema)(value)) if isinstance(value, dict) else b"")
        if isinstance(value, dict):
            return b"\x0a" + sized(_encoder(schema)(value))
        if not isinstance(value, list):
            return b""
        encode_one: Encode = str.encode if strings else _encoder(schema)
        return b"".join([b"\x12" + sized(encode_one(one)) for one in value])

    def decode_union(data: bytes, start: int, end: int) -> Any:
        found = list(wire_fields(data, start, end))
        schema_number = 2 if or_bool else 1
        for number, wire, at in found:
            if number == schema_number and wire == 2:
                return _decoder(schema)(data, *at)
        if or_bool:
            return any(value for number, wire, value in found if number == 1 and wire == 0)
        decode_one = text_at if strings else _decoder(schema)
        return [decode_one(data, *at) for _, wire, at in found if wire == 2] or None

    return encode_union, decode_union
