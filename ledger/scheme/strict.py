"""The slow, exact decoder: what sigs.k8s.io/json says of a body that does not fit its Go type.

It follows the body in document order, as Go does, and keeps what Go keeps: the first type error (decoding goes on),
unknown and duplicate fields with their paths, and how duplicates merge into one struct, map or list. Values whose type
reads its JSON itself end the decoding at once when they fail. Used where the fast path of `normalize` gives up.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from ledger.apimachinery import json_codec
from ledger.apimachinery.field import quoted
from ledger.scheme import types
from ledger.scheme.scalars import INT32, INT64, GoError, cannot_unmarshal, scalar

_STRICT_MAX = 100  # Go stops collecting there


class Members(list[tuple[str, Any]]):
    """An object as it was written: duplicates and order kept."""


class Number(NamedTuple):
    text: str


class Exact(NamedTuple):
    obj: dict[str, Any]  # plain values, duplicates merged
    error: str  # Go's first error; empty if it decodes
    strict_errors: tuple[str, ...]  # 'unknown field "spec.x"', 'duplicate field "metadata.name"'


def parse(data: bytes) -> Any:
    """JSON as Members, Number and plain values; raises ValueError."""
    return _PARSER.decode(json_codec.text_of(data))


def tree(value: Any) -> Any:
    """Decoded values in the form that `parse` gives."""
    if isinstance(value, dict):
        return Members((str(key), tree(one)) for key, one in value.items())
    if isinstance(value, list):
        return [tree(one) for one in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Number(json_codec.dumps(value).decode())
    return value


def plain(node: Any) -> Any:
    """The value of a tree; the last of duplicate keys wins."""
    if isinstance(node, Members):
        return {_clean(key): plain(one) for key, one in node}
    if isinstance(node, Number):
        return json_codec.number(node.text)
    if isinstance(node, list):
        return [plain(one) for one in node]
    return json_codec.without_surrogates(node)


def decode(node: Any, type_id: str) -> Exact:
    """Decodes a tree into the struct `type_id`."""
    decoder = _Decoder()
    try:
        obj = decoder.value(type_id, node, None)
    except _Fatal as fatal:
        return Exact({}, str(fatal), ())
    return Exact(obj or {}, decoder.error, () if decoder.error else tuple(decoder.strict))


def duplicates(node: Any) -> tuple[str, ...]:
    """Duplicate fields of an object that has no Go type (custom resources), in document order."""
    decoder = _Decoder()
    decoder.untyped(node)
    return tuple(decoder.strict)


class _Fatal(Exception):
    """Go returns at once with this text."""


class _Decoder:
    def __init__(self, strict: bool = True) -> None:
        self.error = ""
        self.error_parts: tuple[str, str, list[str]] | None = None  # (what, Go type, fields) of an UnmarshalTypeError
        self.strict: dict[str, None] = {}  # in order, each once
        self.collect = strict
        self.struct = ""  # the innermost struct's Go name, and the fields that led here: for error texts
        self.fields: list[str] = []
        self.path = ""  # for strict errors, with list indices

    # --- errors
    def save(self, error: GoError) -> None:
        if self.error:
            return
        if error.unmarshal:
            self.error_parts = (*error.unmarshal, self.fields.copy())
        self.error = self.described(error)

    def described(self, error: GoError) -> str:
        if error.unmarshal and (self.struct or self.fields):
            what, go_type = error.unmarshal
            where = f"{self.struct}.{'.'.join(self.fields)}"
            return f"json: cannot unmarshal {what} into Go struct field {where} of type {go_type}"
        return str(error)

    def note(self, kind: str, name: str) -> None:
        if self.collect and len(self.strict) < _STRICT_MAX:
            path = f"{self.path}.{name}" if self.path else name
            self.strict.setdefault(f"{kind} field {quoted(path)}")

    # --- values
    def value(self, expression: str, node: Any, existing: Any) -> Any:
        """What `existing` (None: Go's zero value) becomes when `node` is decoded into it."""
        special = scalar(expression)
        if special:
            return self.custom(special.read, node)
        name = expression
        expression, (form, element, _) = types.resolve(expression)
        if form == "pointer":
            return None if node is None else self.value(element, node, existing)
        if form == "named" and types.go_type(expression).custom:
            return self.union(expression, node)
        if node is None:
            return None if form in ("list", "map", "bytes") else existing
        if form == "bytes" and isinstance(node, str):
            return self.base64(node)
        if form in ("list", "bytes"):
            return self.list(name, element or "uint8", node, existing)
        if form == "map":
            return self.map(name, element, node, existing)
        if form == "named":
            return self.object(name, expression, node, existing)
        return self.basic(name, expression, node, existing)

    def custom(self, read: Any, node: Any) -> Any:
        if node is None:
            return None
        try:
            return read(plain(node))
        except GoError as error:
            raise _Fatal(self.described(error)) from None

    def object(self, name: str, id: str, node: Any, existing: Any) -> Any:
        if not isinstance(node, Members):
            self.save(cannot_unmarshal(kind_of(node), types.printed(name)))
            return existing
        known = {field.json: (field, around) for field, around in types.flat_fields(id)}
        out = dict(existing or {})
        seen: set[str] = set()
        outer_struct, outer_fields, outer_path = self.struct, len(self.fields), self.path
        for key, value in node:
            if key not in known:
                self.note("unknown", _clean(key))
                continue
            field, around = known[key]
            if key in seen:
                self.note("duplicate", key)
            seen.add(key)
            self.struct = types.go_type(id).short
            self.fields += [*around, key]
            self.path = f"{outer_path}.{key}" if outer_path else key
            out[key] = self.value(field.type, value, out.get(key))
            self.struct, self.path = outer_struct, outer_path
            del self.fields[outer_fields:]
        return out

    def map(self, name: str, element: str, node: Any, existing: Any) -> Any:
        if not isinstance(node, Members):
            self.save(cannot_unmarshal(kind_of(node), types.printed(name)))
            return existing
        out = dict(existing or {})
        seen: set[str] = set()
        outer_path = self.path
        for raw_key, value in node:
            key = _clean(raw_key)
            if key in seen:
                self.note("duplicate", key)
            seen.add(key)
            self.path = f"{outer_path}.{key}" if outer_path else key
            out[key] = self.value(element, value, None)
            self.path = outer_path
        return out

    def list(self, name: str, element: str, node: Any, existing: Any) -> Any:
        if not isinstance(node, list) or isinstance(node, Members):
            self.save(cannot_unmarshal(kind_of(node), types.printed(name)))
            return existing
        old = existing if isinstance(existing, list) else []
        out = []
        outer_path = self.path
        for index, value in enumerate(node):
            self.path = f"{outer_path}[{index}]"
            out.append(self.value(element, value, old[index] if index < len(old) else None))
        self.path = outer_path
        return out

    def basic(self, name: str, expression: str, node: Any, existing: Any) -> Any:
        if expression == "interface {}":
            return plain(node)
        if expression == "string" and isinstance(node, str):
            return _clean(node)
        if expression == "bool" and isinstance(node, bool):
            return node
        if isinstance(node, Number) and expression not in ("string", "bool"):
            number = json_codec.number(node.text)
            if expression == "float64" and math.isfinite(number):
                return number
            limits = {"int32": INT32, "int64": INT64, "uint8": range(256)}.get(expression, ())
            if node.text.lstrip("-").isdigit() and isinstance(number, int) and number in limits:
                return number
            self.save(cannot_unmarshal(f"number {node.text}", types.printed(name)))
            return existing
        self.save(cannot_unmarshal(kind_of(node), types.printed(name)))
        return existing

    def base64(self, text: str) -> str | None:
        at = _corrupt_base64(text)
        if at is None:
            return text
        self.save(GoError(f"illegal base64 data at input byte {at}"))
        return None

    def union(self, id: str, node: Any) -> Any:
        """JSON schema unions decode what is in them with a decoder of their own, which is not strict."""
        schema = id.rpartition(".")[0] + ".JSONSchemaProps"
        inner = _Decoder(strict=False)
        if isinstance(node, Members):
            value = inner.value(schema, node, None)
        elif id.endswith(types.OR_BOOL_SUFFIX):
            if not isinstance(node, bool):
                raise _Fatal("boolean or JSON schema expected")
            return node
        elif isinstance(node, list):
            value = inner.value("[]string" if id.endswith(types.OR_STRINGS_SUFFIX) else f"[]{schema}", node, None)
        else:
            return None
        if inner.error_parts and self.struct:
            what, go_type, fields = inner.error_parts
            where = ".".join([*self.fields, *fields])
            raise _Fatal(f"json: cannot unmarshal {what} into Go struct field {self.struct}.{where} of type {go_type}")
        if inner.error:
            raise _Fatal(inner.error)
        return value

    def untyped(self, node: Any) -> None:
        """Notes the duplicates below a node without a type."""
        outer_path = self.path
        if isinstance(node, Members):
            seen: set[str] = set()
            for raw_key, value in node:
                key = _clean(raw_key)
                if key in seen:
                    self.note("duplicate", key)
                seen.add(key)
                self.path = f"{outer_path}.{key}" if outer_path else key
                self.untyped(value)
                self.path = outer_path
        elif isinstance(node, list):
            for index, value in enumerate(node):
                self.path = f"{outer_path}[{index}]"
                self.untyped(value)
            self.path = outer_path


def kind_of(node: Any) -> str:
    if isinstance(node, Members):
        return "object"
    if isinstance(node, Number):
        return "number"
    if isinstance(node, list):
        return "array"
    return "bool" if isinstance(node, bool) else "string"


def _clean(text: str) -> str:
    cleaned: str = json_codec.without_surrogates(text)
    return cleaned


def _corrupt_base64(text: str) -> int | None:
    """Where base64.StdEncoding refuses `text`, as a byte offset; None if it does not."""
    data = text.encode("utf-8", "replace")
    at = 0
    while True:
        for place in range(4):
            while at < len(data) and data[at] in b"\r\n":
                at += 1
            if at == len(data):
                return at - place if place else None
            at += 1
            if chr(data[at - 1]) in _ALPHABET:
                continue
            if data[at - 1 : at] != b"=" or place < 2:
                return at - 1
            return _corrupt_padding(data, at, place)


def _corrupt_padding(data: bytes, at: int, place: int) -> int | None:
    """The first "=" has been read, as the character `place` of its group of four."""
    if place == 2:
        while at < len(data) and data[at] in b"\r\n":
            at += 1
        if at == len(data):
            return at
        if data[at : at + 1] != b"=":
            return at - 1
        at += 1
    while at < len(data) and data[at] in b"\r\n":
        at += 1
    return at if at < len(data) else None


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_PARSER = json.JSONDecoder(object_pairs_hook=Members, parse_int=Number, parse_float=Number)
