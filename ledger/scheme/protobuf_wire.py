"""Protobuf's wire format: varints, lengths, fields; errors in the words of Go's generated code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class ProtobufError(ValueError):
    """The bytes are no message of that type; the message is Go's."""


ONE_BYTE = [bytes((number,)) for number in range(128)]


def varint(number: int) -> bytes:
    if 0 <= number < 128:
        return ONE_BYTE[number]
    if number < 0:
        number += 1 << 64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def sized(body: bytes) -> bytes:
    return varint(len(body)) + body


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(value, position after it); raises ProtobufError."""
    value = shift = 0
    while True:
        if shift >= 64:
            raise ProtobufError("proto: integer overflow")
        if at >= end:
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7


def wire_fields(data: bytes, at: int, end: int, message: str = "Unknown") -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value): an int for numbers, (start, end) for what has a length; raises ProtobufError."""
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = read_varint(data, at - 1, end)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ProtobufError(f"proto: {message}: illegal tag 0 (wire type {tag})")
        if wire == 2:
            size = data[at] if at < end else 128
            at += 1
            if size > 127:
                size, at = read_varint(data, at - 1, end)
            if size >> 63:
                raise ProtobufError("proto: negative length found during unmarshaling")
            if at + size > end:
                raise ProtobufError("unexpected EOF")
            yield number, wire, (at, at + size)
            at += size
        elif wire == 0:
            value, at = read_varint(data, at, end)
            yield number, wire, value
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            if at + size > end:
                raise ProtobufError("unexpected EOF")
            yield number, wire, int.from_bytes(data[at : at + size], "little")
            at += size
        elif wire == 4:
            raise ProtobufError(f"proto: {message}: wiretype end group for non-group")
        else:
            yield number, wire, 0  # the reader of a field it knows says that this is the wrong wire type
            raise ProtobufError(f"proto: illegal wireType {wire}")


def sized_fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """The fields that have a length."""
    return (one for one in wire_fields(data, start, end) if one[1] == 2)


def expect(wire: int, expected: int, go_name: str) -> None:
    if wire != expected:
        raise ProtobufError(f"proto: wrong wireType = {wire} for field {go_name}")


def text_at(data: bytes, start: int, end: int) -> str:
    """Text, with U+FFFD for what is no UTF-8."""
    return data[start:end].decode("utf-8", "replace")
