"""The OpenAPI v2 document as protobuf, which is all that older Go clients ask for.

The messages are those of gnostic's openapiv2/OpenAPIv2.proto. A table says for each message which JSON field is which
number and of which form; the fields come in the order of their numbers, as Go's encoder writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import yaml

Encode = Callable[[Any], bytes]


def encode(document: dict[str, Any]) -> bytes:
    """The Document message of a Swagger 2.0 document."""
    return _message("Document", document)


# Field number, JSON name, form. Forms: "text", "flag", "number" (a double), "count" (an int64), "any" (kept as YAML),
# or the name of a message; "*" in front: repeated; "{}" in front: a JSON object that is a list of named values, whose
# field in the message around them has the number behind the colon.
_FIELDS: dict[str, list[tuple[int, str, str]]] = {
    "Document": [
        (1, "swagger", "text"),
        (2, "info", "Info"),
        (8, "paths", "{}PathItem:2"),
        (9, "definitions", "{}Schema:1"),
        (10, "parameters", "{}Parameter:1"),
        (12, "security", "*Requirement"),
        (13, "securityDefinitions", "{}Security:1"),
    ],
    "Info": [(1, "title", "text"), (2, "version", "text")],
    "PathItem": [
        (2, "get", "Operation"),
        (3, "put", "Operation"),
        (4, "post", "Operation"),
        (5, "delete", "Operation"),
        (6, "options", "Operation"),
        (7, "head", "Operation"),
        (8, "patch", "Operation"),
        (9, "parameters", "*ParametersItem"),
    ],
    "Operation": [
        (1, "tags", "*text"),
        (3, "description", "text"),
        (5, "operationId", "text"),
        (6, "produces", "*text"),
        (7, "consumes", "*text"),
        (8, "parameters", "*ParametersItem"),
        (9, "responses", "{}Response:1"),
        (10, "schemes", "*text"),
        (11, "deprecated", "flag"),
        (13, "x-", "extensions"),
    ],
    "BodyParameter": [
        (1, "description", "text"),
        (2, "name", "text"),
        (3, "in", "text"),
        (4, "required", "flag"),
        (5, "schema", "Schema"),
    ],
    "QueryParameter": [
        (1, "required", "flag"),
        (2, "in", "text"),
        (3, "description", "text"),
        (4, "name", "text"),
        (6, "type", "text"),
        (20, "uniqueItems", "flag"),
    ],
    "PathParameter": [
        (1, "required", "flag"),
        (2, "in", "text"),
        (3, "description", "text"),
        (4, "name", "text"),
        (5, "type", "text"),
        (19, "uniqueItems", "flag"),
    ],
    "Reference": [(1, "$ref", "text")],
    "PlainResponse": [(1, "description", "text"), (2, "schema", "SchemaItem")],
    "ApiKey": [(1, "type", "text"), (2, "name", "text"), (3, "in", "text"), (4, "description", "text")],
    "Schema": [
        (1, "$ref", "text"),
        (2, "format", "text"),
        (3, "title", "text"),
        (4, "description", "text"),
        (5, "default", "any"),
        (6, "multipleOf", "number"),
        (7, "maximum", "number"),
        (8, "exclusiveMaximum", "flag"),
        (9, "minimum", "number"),
        (10, "exclusiveMinimum", "flag"),
        (11, "maxLength", "count"),
        (12, "minLength", "count"),
        (13, "pattern", "text"),
        (14, "maxItems", "count"),
        (15, "minItems", "count"),
        (16, "uniqueItems", "flag"),
        (17, "maxProperties", "count"),
        (18, "minProperties", "count"),
        (19, "required", "*text"),
        (20, "enum", "*any"),
        (21, "additionalProperties", "AdditionalProperties"),
        (22, "type", "TypeItem"),
        (23, "items", "ItemsItem"),
        (25, "properties", "{}Schema:1"),
        (31, "x-", "extensions"),
    ],
}


def _message(name: str, value: dict[str, Any]) -> bytes:
    parts = []
    for number, key, form in _FIELDS[name]:
        if form == "extensions":
            parts += [_field(number, _named(one, _any(value[one]))) for one in value if one.startswith(key)]
        elif key in value:
            parts.append(_value(number, form, value[key]))
    return b"".join(parts)


def _value(number: int, form: str, value: Any) -> bytes:
    if form.startswith("*"):
        return b"".join(_field(number, _single(form[1:], one)) for one in value)
    if form.startswith("{}"):
        kind, _, inside = form[2:].partition(":")
        return _field(number, b"".join(_field(int(inside), _named(k, _single(kind, v))) for k, v in value.items()))
    if form == "flag":
        return _key(number, 0) + b"\1" if value else b""
    if form == "count":
        return _key(number, 0) + _varint(value) if value else b""
    if form == "number":
        return _key(number, 1) + struct.pack("<d", value) if value else b""
    if form == "text":
        return _field(number, value.encode()) if value else b""
    return _field(number, _single(form, value))


def _single(form: str, value: Any) -> bytes:
    """One value without the key of its field."""
    special = _SPECIAL.get(form)
    return special(value) if special else _message(form, value)


class _Dumper(yaml.CSafeDumper):
    """Quotes doubly what would not be read as text again, as yaml.v3 does."""


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    read_as = dumper.resolve(yaml.ScalarNode, text, (True, False)).rpartition(":")[2]
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if read_as in ("str", "yaml") else '"')


_Dumper.add_representer(str, _text_node)


def _any(value: Any) -> bytes:
    """An extension or an enumeration's value, kept as YAML."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1 << 30, allow_unicode=True)
    return _field(2, text.removesuffix("...\n").encode())


def _parameter(value: dict[str, Any]) -> bytes:
    """Either the body or one of the others, which are told apart by `in`."""
    if value["in"] == "body":
        return _field(1, _message("BodyParameter", value))
    if value["in"] == "query":
        return _field(2, _field(3, _message("QueryParameter", value)))
    return _field(2, _field(4, _message("PathParameter", value)))


def _parameters_item(value: dict[str, Any]) -> bytes:
    if "$ref" in value:
        return _field(2, _message("Reference", value))
    return _field(1, _parameter(value))


def _requirement(value: dict[str, Any]) -> bytes:
    return b"".join(_field(1, _named(name, _texts(scopes))) for name, scopes in value.items())


def _texts(value: Any) -> bytes:
    return b"".join(_field(1, one.encode()) for one in ([value] if isinstance(value, str) else value))


def _schema(value: Any) -> bytes:
    return _message("Schema", value)


_SPECIAL: dict[str, Encode] = {
    "text": str.encode,
    "any": _any,
    "Parameter": _parameter,
    "ParametersItem": _parameters_item,
    "Requirement": _requirement,
    "Response": lambda value: _field(1, _message("PlainResponse", value)),
    "Security": lambda value: _field(2, _message("ApiKey", value)),
    "SchemaItem": lambda value: _field(1, _schema(value)),
    "ItemsItem": lambda value: _field(1, _schema(value)),
    "TypeItem": _texts,
    "AdditionalProperties": lambda value: (
        _field(1, _schema(value)) if isinstance(value, dict) else _key(2, 0) + (b"\1" if value else b"\0")
    ),
}


def _named(name: str, value: bytes) -> bytes:
    return _field(1, name.encode()) + _field(2, value)


def _field(number: int, body: bytes) -> bytes:
    return _key(number, 2) + _varint(len(body)) + body


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
