"""Bodies before their kind is known: syntax, kind and apiVersion, and whether a field stands there twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from ledger.apimachinery import json_codec, yaml_codec
from ledger.apimachinery.json_syntax import syntax_error
from ledger.apimachinery.resource import GVK
from ledger.scheme import strict, types

_NUMBERS_TO_KEEP = re.compile(rb"[0-9][.eE]|[0-9]{16}")
_BACKSLASH = 0x5C
_TOO_DEEP = "couldn't get version/kind; json parse error: exceeded max depth"


class Refused(Exception):
    """A decoding failed; `gvk` is what was known of the object by then."""

    def __init__(self, message: str, gvk: GVK | None = None) -> None:
        super().__init__(message)
        self.gvk = gvk


def tree_of(value: Any) -> Callable[[], Any]:
    """How to get the exact tree of a value that has no bytes of its own."""
    return lambda: strict.tree(value)


def read_json(body: bytes, expected: GVK) -> tuple[Any, Callable[[], Any]]:
    """(the value, how to get its exact tree); raises Refused."""
    try:
        if has_opaque(expected) and _NUMBERS_TO_KEEP.search(body):
            value = json_codec.loads_exact(body)
        else:
            value = orjson.loads(body)
    except ValueError:
        if why := syntax_error(body):
            raise Refused(f"couldn't get version/kind; json parse error: {why}") from None
        value = json_codec.loads_exact(body)
    except RecursionError:
        raise Refused(_TOO_DEEP) from None
    return value, lambda: strict.parse(body)


def read_yaml(body: bytes, check: bool) -> tuple[Any, list[str]]:
    """(the value, what a strict reading complains of if `check`); raises Refused."""
    try:
        value = yaml_codec.loads(body)
    except yaml_codec.YamlError as error:
        raise Refused(str(error)) from None
    doubled = yaml_codec.duplicate_keys(body) if check else []
    return value, ["yaml: unmarshal errors:\n  " + "\n  ".join(doubled)] if doubled else []


def interpret(value: Any, read_tree: Callable[[], Any]) -> GVK:
    """Kind and version as the body names them (SimpleMetaFactory.Interpret, whose keys match in any case)."""
    if value is None:
        return GVK("", "", "")
    version = kind = None
    if type(value) is dict:
        version, kind = value.get("apiVersion"), value.get("kind")
    if type(version) is not str or type(kind) is not str or len(value) < 3:
        version, kind = _kind_exactly(read_tree())
    if version.count("/") > 1:
        raise Refused(f"unexpected GroupVersion string: {version}")
    group, _, short = version.rpartition("/")
    return GVK(group, short, kind)


def _kind_exactly(node: Any) -> tuple[str, str]:
    found = {"apiversion": "", "kind": ""}
    parse_error = "couldn't get version/kind; json parse error: json: cannot unmarshal"
    if not isinstance(node, strict.Members):
        shape = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        raise Refused(f"{parse_error} {strict.kind_of(node)} into Go value of type {shape}")
    wrong = ""
    for key, one in node:
        name = key.lower()
        if name not in found or one is None:
            continue
        if isinstance(one, str):
            found[name] = one
        elif not wrong:
            field = "apiVersion" if name == "apiversion" else "kind"
            wrong = f"{parse_error} {strict.kind_of(one)} into Go struct field .{field} of type string"
    if wrong:
        raise Refused(wrong)
    return found["apiversion"], found["kind"]


def with_defaults(actual: GVK, expected: GVK) -> GVK:
    """What the body leaves out comes from the URL (gvkWithDefaults)."""
    group, version, kind = actual
    if not version and (not group or group == expected.group):
        group, version = expected.group, expected.version
    return GVK(group, version, kind or expected.kind)


def has_duplicates(body: bytes, value: Any) -> bool:
    """Whether some object in the JSON has a key twice. `value` is what was made of it; raises Refused if too deep."""
    try:
        printed = json_codec.plain(value)
    except TypeError:
        raise Refused(_TOO_DEEP) from None  # deeper than anything we could print again
    if printed == body.rstrip():
        return False  # nothing was lost, so nothing was there twice
    # Nor where no string was lost: a field is one, and only an escape puts quotes where there were none.
    if (_BACKSLASH not in body or body.find(b"\\u") < 0) and printed.count(b'"') == body.count(b'"'):
        return False
    return _doubled(body)


def _doubled(body: bytes) -> bool:
    found = False

    def count(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        if not found and len(pairs) > 1 and len({key for key, _ in pairs}) < len(pairs):
            found = True

    json.JSONDecoder(object_pairs_hook=count, parse_int=_nothing, parse_float=_nothing).decode(json_codec.text_of(body))
    return found


def _nothing(_: str) -> None:
    return None


@lru_cache(2048)
def has_opaque(kind: GVK) -> bool:
    """Whether a kind's type holds opaque JSON whose numbers must survive as they were written; FieldsV1 has none."""
    seen: set[str] = set()

    def below(expression: str) -> bool:
        expression = expression.lstrip("*")
        if expression == types.RAW_EXTENSION or expression.endswith(types.OPAQUE_SUFFIX):
            return True
        expression, (form, element, _) = types.resolve(expression)
        if form in ("pointer", "list", "map"):
            return below(element)
        if form != "named" or expression in seen:
            return False
        seen.add(expression)
        return any(below(field.type) for field in types.go_type(expression).fields)

    id = types.type_of(kind)
    return id is not None and below(id)
