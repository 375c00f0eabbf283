"""Types that write their protobuf themselves: times, quantities, IntOrString, opaque JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.apimachinery import gotime, json_codec
from ledger.scheme import types
from ledger.scheme.protobuf_wire import ProtobufError, expect, sized, sized_fields, text_at, varint, wire_fields

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes, int, int], Any]

ABSENT: Any = object()  # what stands for a field that is not there


def _encode_time(value: Any) -> bytes:
    if not isinstance(value, str):
        return b""
    return b"\x08" + varint(gotime.parse(value, gotime.RFC3339)[0]) + b"\x10\0"


def _decode_time(data: bytes, start: int, end: int) -> str | None:
    return None if start == end else gotime.format_seconds(_seconds_and_nanos(data, start, end)[0])


def _encode_micro_time(value: Any) -> bytes:
    if not isinstance(value, str):
        return b""
    seconds, nanos = gotime.parse(value, gotime.RFC3339_MICRO)
    return b"\x08" + varint(seconds) + b"\x10" + varint(nanos // 1000 * 1000)


def _decode_micro_time(data: bytes, start: int, end: int) -> str | None:
    return None if start == end else gotime.format_micros(*_seconds_and_nanos(data, start, end))


def _seconds_and_nanos(data: bytes, start: int, end: int) -> tuple[int, int]:
    parts = {number: value for number, wire, value in wire_fields(data, start, end) if wire == 0}
    seconds = parts.get(1, 0)
    return seconds - 2**64 if seconds >> 63 else seconds, parts.get(2, 0)


def encode_raw(value: Any) -> bytes:
    """RawExtension, FieldsV1, JSON: the JSON text as bytes."""
    return b"" if value is None or value is ABSENT else b"\x0a" + sized(json_codec.dumps(value))


def decode_raw(data: bytes, start: int, end: int) -> Any:
    """Opaque JSON; bytes that are none become null, as they could not be printed either."""
    for number, _, at in sized_fields(data, start, end):
        if number == 1 and at[1] > at[0]:
            try:
                return json_codec.loads_exact(data[at[0] : at[1]])
            except ValueError as error:
                raise ProtobufError(str(error)) from None
    return None


def _encode_quantity(value: Any) -> bytes:
    return b"\x0a" + sized((value if isinstance(value, str) else "0").encode())


def _decode_quantity(data: bytes, start: int, end: int) -> str:
    for number, _, at in sized_fields(data, start, end):
        if number == 1:
            return text_at(data, *at)
    return "0"


def _encode_int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\0\x1a" + sized(value.encode())
    return b"\x08\0\x10" + varint(value if isinstance(value, int) else 0) + b"\x1a\0"


def _decode_int_or_string(data: bytes, start: int, end: int) -> int | str:
    kind, number_value, text = 0, 0, ""
    for number, wire, value in wire_fields(data, start, end):
        if number == 1:
            expect(wire, 0, "Type")
            kind = value
        elif number == 2:
            expect(wire, 0, "IntVal")
            number_value = (value + 2**31) % 2**32 - 2**31
        elif number == 3:
            expect(wire, 2, "StrVal")
            text = text_at(data, *value)
    return text if kind else number_value


SPECIAL: dict[str, tuple[Encode, Decode]] = {
    types.TIME: (_encode_time, _decode_time),
    types.MICRO_TIME: (_encode_micro_time, _decode_micro_time),
    types.QUANTITY: (_encode_quantity, _decode_quantity),
    types.INT_OR_STRING: (_encode_int_or_string, _decode_int_or_string),
    types.FIELDS_V1: (encode_raw, decode_raw),
    types.RAW_EXTENSION: (encode_raw, decode_raw),
}
SPECIAL_ZERO: dict[str, Any] = {types.QUANTITY: "0", types.INT_OR_STRING: 0}
