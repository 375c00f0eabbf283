"""YAML as sigs.k8s.io/yaml reads it: YAML 1.1 turned into JSON values, keys sorted, first document only.

libyaml (through PyYAML) makes the events; yaml_nodes.py makes nodes of them; what scalars mean, which keys collide, how
merges and aliases work is decided here as go-yaml v2 decides it. The stack is ours, so that deep input ends in an error
and never in a crash.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger.apimachinery import yaml_resolve
from ledger.apimachinery.field import quoted
from ledger.apimachinery.yaml_resolve import BOOL, FLOAT, INT, NULL, STR, TIMESTAMP

DEPTH_MAX = 250  # Go's limit is 10000; the JSON printer's here is 254
_TAGS = {f"tag:yaml.org,2002:{name}": name for name in (STR, BOOL, INT, FLOAT, NULL, TIMESTAMP)}
_BINARY = "tag:yaml.org,2002:binary"


class YamlError(ValueError):
    """The text is no YAML that JSON could hold; the message is upstream's, "yaml: " included."""


@dataclass(slots=True, eq=False)
class Node:
    line: int  # from 0
    kind: str  # "scalar", "list", "map", "alias"
    text: str = ""
    tag: str = ""  # explicit tag
    plain: bool = False
    children: list[Node] = field(default_factory=list)  # of a map: key, value, key, value
    target: Node | None = None


def loads(data: bytes) -> Any:
    """The first document as JSON values, keys sorted; None for an empty one. Raises YamlError."""
    return loads_strictly(data)[0]


def duplicate_keys(data: bytes) -> list[str]:
    """What a strict reading says of keys that occur twice: "line 4: key \\"a\\" already set in map"."""
    return loads_strictly(data)[1]


def loads_strictly(data: bytes) -> tuple[Any, list[str]]:
    """What `loads` and `duplicate_keys` say, in one reading. Raises YamlError."""
    as_json = _loads_plain_json(data)
    if as_json is not None:
        return as_json, []
    from ledger.apimachinery.yaml_nodes import first_document  # and PyYAML with it, when there is YAML to read

    decoder = _Decoder()
    return decoder.document(first_document(data)), decoder.duplicates


_STRING = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"')
_BACKSLASH, _DELETE = 0x5C, 0x7F
_NOT_PLAIN = (b"\\u", b"\\/", b'"<<"')  # other escapes, merge keys
KEY_BYTES_MAX = 1000  # of a simple key, in round numbers
_NUMBER_OF_NOTE = re.compile(rb"[0-9][.eE]|[0-9]{16}")  # not surely the same in both


def _loads_plain_json(data: bytes) -> dict[str, Any] | None:
    """The value of an object in JSON that YAML reads alike, as most clients send it; None for all else.

    Printing it again shows whether it had no key twice: what is between its strings is the same but for spaces.
    """
    body = data.rstrip()
    if body[:1] != b"{" or not body.isascii() or _DELETE in body or any(body.find(one) >= 0 for one in _NOT_PLAIN):
        return None
    try:
        value = orjson.loads(body)
        printed, (between, strings) = orjson.dumps(value), _apart(body)
        if printed != body and (_apart(printed)[0] != between.replace(b" ", b"") or between.find(b'" :') >= 0):
            return None
        if any(len(text) >= KEY_BYTES_MAX and body.find(b'"%b":' % text) >= 0 for text in strings):
            return None
        if _NUMBER_OF_NOTE.search(between):
            return None
        found: dict[str, Any] = orjson.loads(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    except (ValueError, TypeError, RecursionError):
        return None
    return found if body.count(b"{") + body.count(b"[") < DEPTH_MAX or _depth(found) < DEPTH_MAX else None


def _apart(body: bytes) -> tuple[bytes, list[bytes]]:
    """JSON as (what is between its strings, with a quote for each; the strings, as they are written)."""
    if _BACKSLASH in body:
        return _STRING.sub(b'"', body), _STRING.findall(body)
    pieces = body.split(b'"')
    return b'"'.join(pieces[::2]), pieces[1::2]


def _depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(one) for one in inside), default=0)


# --- nodes to values -------------------------------------------------------------------------------------------------
class _Decoder:
    """Turns nodes into values; counts what aliases expand to, as go-yaml does, to refuse exploding documents."""

    def __init__(self) -> None:
        self.duplicates: list[str] = []
        self.decoded = self.from_aliases = self.alias_depth = 0
        self.open_aliases: set[int] = set()

    def document(self, root: Node | None) -> Any:
        return None if root is None else self.value(root)

    def value(self, node: Node) -> Any:
        self.count()
        if node.kind == "scalar":
            return _json_number(_scalar(node))
        if node.kind == "list":
            return [self.value(child) for child in node.children]
        if node.kind == "map":
            into: dict[str, Any] = {}
            self.map(node, into)
            return dict(sorted(into.items()))
        return self.alias(node)

    def count(self) -> None:
        self.decoded += 1
        self.from_aliases += self.alias_depth > 0
        if self.from_aliases > 100 and self.decoded > 1000:
            if self.from_aliases / self.decoded > _alias_share_allowed(self.decoded):
                raise YamlError("yaml: document contains excessive aliasing")

    def alias(self, node: Node) -> Any:
        assert node.target is not None
        if id(node.target) in self.open_aliases:
            raise YamlError(f"yaml: anchor '{node.text}' value contains itself")
        self.open_aliases.add(id(node.target))
        self.alias_depth += 1
        if self.alias_depth > DEPTH_MAX:
            raise YamlError(f"yaml: exceeded max depth of {DEPTH_MAX}")
        value = self.value(node.target)
        self.alias_depth -= 1
        self.open_aliases.discard(id(node.target))
        return value

    def map(self, node: Node, into: dict[str, Any]) -> None:
        # Keys collide as what they are in YAML: `on` and "true" become one in JSON, but are two here.
        seen: set[tuple[type, Any]] = {(str, key) for key in into}
        for key_node, value_node in zip(node.children[::2], node.children[1::2], strict=True):
            if _is_merge(key_node):
                self.merge(value_node, into)
                continue
            self.count()
            raw_key = self.key(key_node)
            value = self.value(value_node)
            if raw_key is None:
                shown = "<nil>" if value is None else _go_syntax(value)
                raise YamlError(f"unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown}")
            if (type(raw_key), raw_key) in seen:
                shown = _go_syntax(raw_key)
                self.duplicates.append(f"line {value_node.line + 1}: key {shown} already set in map")
            seen.add((type(raw_key), raw_key))
            into[_json_key(raw_key)] = value

    def key(self, node: Node) -> Any:
        """The key as YAML has it."""
        if node.target is not None:
            node = node.target
        if node.kind != "scalar":
            raise YamlError(f"yaml: invalid map key: {_go_syntax(self.value(node))}")
        return _scalar(node)

    def merge(self, node: Node, into: dict[str, Any]) -> None:
        target = node.target if node.target is not None else node
        if target.kind == "map":
            self.map(target, into)
        elif target.kind == "list" and node.target is None:
            for one in reversed(node.children):  # earlier maps win, so they come last
                found = one.target if one.target is not None else one
                if found.kind != "map":
                    raise YamlError("yaml: map merge requires map or sequence of maps as the value")
                self.map(found, into)
        else:
            raise YamlError("yaml: map merge requires map or sequence of maps as the value")


def _alias_share_allowed(decoded: int) -> float:
    low, high = 400_000, 4_000_000
    if decoded <= low:
        return 0.99
    return 0.10 if decoded >= high else 0.99 - 0.89 * ((decoded - low) / (high - low))


def _is_merge(node: Node) -> bool:
    return node.kind == "scalar" and node.text == "<<" and (node.plain or node.tag.endswith(":merge"))


def _scalar(node: Node) -> Any:
    """The value of a scalar; dates are text."""
    if not node.tag:
        resolved = yaml_resolve.resolve(node.text) if node.plain else yaml_resolve.Resolved(STR, node.text)
        return resolved.value
    if node.tag == _BINARY:
        try:
            text = node.text.replace("\n", "").replace("\r", "")
            return base64.b64decode(text, validate=True).decode("utf-8", "replace")
        except binascii.Error:
            raise YamlError("yaml: !!binary value contains invalid base64 data") from None
    wanted = _TAGS.get(node.tag)
    if wanted is None or wanted == STR:
        return node.text
    resolved = yaml_resolve.resolve(node.text)
    if resolved.tag == wanted:
        return resolved.value
    if wanted == FLOAT and resolved.tag == INT:
        return float(resolved.value)
    raise YamlError(f"yaml: cannot decode !!{resolved.tag} `{node.text}` as a !!{wanted}")


def _json_number(value: Any) -> Any:
    """Floats as the JSON in between would carry them: 1.0 arrives as 1."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise YamlError(f"json: unsupported value: {'NaN' if math.isnan(value) else f'{value:+.0f}'.title()}")
        if value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value


def _json_key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float_key(value) if isinstance(value, float) else str(value)


def _go_syntax(value: Any) -> str:
    """fmt's %#v of what go-yaml decodes."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_go_syntax(key)}:{_go_syntax(one)}" for key, one in value.items())
        return f"map[interface {{}}]interface {{}}{{{pairs}}}"
    return _json_key(value)


def _float_key(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    for digits in range(1, 10):  # the shortest text that a 32-bit float keeps
        shorter = f"{value:.{digits}g}"
        if struct.pack("f", float(shorter)) == struct.pack("f", value):
            break
    return yaml_resolve.float_text(value, shorter)
