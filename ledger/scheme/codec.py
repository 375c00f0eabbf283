"""Request bodies to objects, as kube-apiserver's create and update handlers decode them.

Built-in kinds go through their Go type (`normalize`), custom resources stay as they are. The fast path is orjson and a
compiled walk; only where something does not fit, or a field is unknown or doubled, the exact decoder of `strict` says
what Go would say. Messages are those of transformDecodeError and of the serializers in k8s.io/apimachinery.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ledger.apimachinery import cbor_codec, json_codec, yaml_codec
from ledger.apimachinery.field import quoted
from ledger.apimachinery.json_syntax import syntax_error
from ledger.apimachinery.negotiation import BUILTIN, CBOR, JSON, PROTOBUF, YAML, content_type_of, unsupported_media_type
from ledger.apimachinery.resource import GVK
from ledger.apimachinery.status import StatusError, bad_request
from ledger.scheme import protobuf, strict, types
from ledger.scheme.normalize import Mismatch, normalize, normalize_known, struct_converter

Prune = Callable[[dict[str, Any]], list[str]]
_SUMMARY_BYTES = 30
_NUMBERS_TO_KEEP = re.compile(rb"[0-9][.eE]|[0-9]{16}")
_OPAQUE_DEPTH = 40


class Decoded(NamedTuple):
    """A decoded body."""

    obj: dict[str, Any]  # kind and apiVersion filled in, normal form for built-in kinds
    gvk: GVK
    warnings: tuple[str, ...]  # what a strict decoding complains of, each a Warning header


class Refused(Exception):
    """A decoding failed; `gvk` is what was known of the object by then."""

    def __init__(self, message: str, gvk: GVK | None = None) -> None:
        super().__init__(message)
        self.gvk = gvk


def decode(
    body: bytes,
    content_type: str,
    expected: GVK,
    *,
    validation: str = "Warn",
    custom: bool = False,
    accepted_types: tuple[str, ...] = BUILTIN,
    accepts: Callable[[GVK], bool] | None = None,
    prune: Prune | None = None,
) -> Decoded:
    """The object a request sends for `expected`, which also supplies what the body leaves out.

    `validation` is the fieldValidation directive ("" means Warn). `accepts` says which group versions may be sent
    where that is more than the expected one. `prune` takes the fields out of a custom resource that its schema does
    not have, in place, and gives their paths. Raises StatusError 400 and 415.
    """
    media_type = content_type_of(content_type)
    if media_type not in accepted_types:
        raise unsupported_media_type(accepted_types)
    check = validation != "Ignore"
    try:
        if custom:
            obj, gvk, complaints = _decode_custom(body, media_type, check, prune)
        else:
            obj, gvk, complaints = _decode_builtin(body, media_type, expected, check)
    except Refused as refused:
        raise refusal(str(refused), refused.gvk, expected, body) from None
    except protobuf.ProtobufError as error:
        raise refusal(str(error), None, expected, body) from None
    if complaints and validation == "Strict":
        raise refusal(f"strict decoding error: {', '.join(complaints)}", gvk, expected, body)
    if gvk[:2] != expected[:2] and not (accepts and accepts(gvk)):
        raise bad_request(
            f"the API version in the data ({gvk.api_version}) does not match the expected API version"
            f" ({expected.api_version})"
        )
    return Decoded(obj, gvk, _warnings(complaints) if check else ())


def decode_value(obj: dict[str, Any], expected: GVK, *, check: bool = True) -> Decoded:
    """An object that is decoded JSON already (a patched one, say) through its Go type; raises `Refused`.

    With `check`, unknown fields are in `warnings`.
    """
    obj, gvk, complaints = _typed(orjson_or_tree(obj), obj, expected, check)
    return Decoded(obj, gvk, tuple(complaints))


def refusal(message: str, gvk: GVK | None, expected: GVK, body: bytes) -> StatusError:
    """The 400 of a body that could not be decoded (transformDecodeError)."""
    if gvk is not None and gvk.kind:
        return bad_request(
            f"{gvk.kind} in version {quoted(gvk.version)} cannot be handled as a {expected.kind}: {message}"
        )
    return bad_request(
        f"the object provided is unrecognized (must be of type {expected.kind}): {message} ({_summary(body)})"
    )


def not_registered(gvk: GVK) -> str:
    """runtime.NewNotRegisteredErrForKind, with the name kube-apiserver's scheme happens to have."""
    return (
        f"no kind {quoted(gvk.kind)} is registered for version {quoted(gvk.api_version)}"
        ' in scheme "pkg/runtime/scheme.go:111"'
    )


# --- built-in kinds --------------------------------------------------------------------------------------------------
def _decode_builtin(body: bytes, media_type: str, expected: GVK, check: bool) -> tuple[dict[str, Any], GVK, list[str]]:
    if media_type == PROTOBUF:
        return _decode_protobuf(body, expected)
    complaints: list[str] = []
    if media_type == JSON:
        value, read_tree = _read_json(body, expected)
    else:
        value = _read_yaml(body)
        if check and (doubled := yaml_codec.duplicate_keys(body)):
            complaints.append("yaml: unmarshal errors:\n  " + "\n  ".join(doubled))
        read_tree = None
    obj, gvk, more = _typed(read_tree or orjson_or_tree(value), value, expected, check, body, media_type == JSON)
    return obj, gvk, complaints + more


def orjson_or_tree(value: Any) -> Callable[[], Any]:
    return lambda: strict.tree(value)


def _read_json(body: bytes, expected: GVK) -> tuple[Any, Callable[[], Any]]:
    """(the value, how to get its exact tree)."""
    try:
        if _has_opaque(types.type_of(expected) or "") and _NUMBERS_TO_KEEP.search(body):
            value = json_codec.loads_exact(body)
        else:
            value = orjson.loads(body)
    except ValueError:
        if why := syntax_error(body):
            raise Refused(f"couldn't get version/kind; json parse error: {why}") from None
        value = json_codec.loads_exact(body)
    except RecursionError:
        raise Refused("couldn't get version/kind; json parse error: exceeded max depth") from None
    return value, lambda: strict.parse(body)


def _read_yaml(body: bytes) -> Any:
    try:
        return yaml_codec.loads(body)
    except yaml_codec.YamlError as error:
        raise Refused(str(error)) from None


def _typed(
    read_tree: Callable[[], Any],
    value: Any,
    expected: GVK,
    check: bool,
    body: bytes = b"",
    may_double: bool = False,
) -> tuple[dict[str, Any], GVK, list[str]]:
    """Decodes into the Go type that kind and apiVersion name; `may_double`: the body is JSON that may repeat fields."""
    actual = _interpret(value, read_tree)
    gvk = _with_defaults(actual, expected)
    if not gvk.version:
        raise Refused(f"Object 'apiVersion' is missing in '{json_codec.text_of(body)}'", gvk)
    type_id = types.type_of(gvk)
    if type_id is None:
        raise Refused(not_registered(gvk), gvk)
    complaints: list[str] = []
    obj: dict[str, Any] | None = None
    if not (may_double and has_duplicates(body, value)):
        try:
            obj = (normalize_known if check else normalize)(gvk, {} if value is None else value)
        except (Mismatch, RecursionError):
            obj = None
    if obj is None:
        exact = strict.decode(read_tree(), type_id)
        if exact.error:
            raise Refused(exact.error, gvk)
        obj, complaints = normalize(gvk, exact.obj), list(exact.strict_errors) if check else []
    if gvk.kind != expected.kind and gvk != expected:
        raise Refused(
            f"converting ({types.printed(type_id)}) to ({types.internal_name(expected)}): unknown conversion", gvk
        )
    return {"kind": gvk.kind, "apiVersion": gvk.api_version} | _without_type(obj), gvk, complaints


def _without_type(obj: dict[str, Any]) -> dict[str, Any]:
    obj.pop("kind", None)
    obj.pop("apiVersion", None)
    return obj


def _interpret(value: Any, read_tree: Callable[[], Any]) -> GVK:
    """Kind and version as the body names them (SimpleMetaFactory.Interpret, whose keys match in any case)."""
    if value is None:
        return GVK("", "", "")
    version = kind = None
    if type(value) is dict:
        version, kind = value.get("apiVersion"), value.get("kind")
    if type(version) is not str or type(kind) is not str or len(value) < 3:
        version, kind = _interpret_exactly(read_tree())
    if version.count("/") > 1:
        raise Refused(f"unexpected GroupVersion string: {version}")
    group, _, short = version.rpartition("/")
    return GVK(group, short, kind)


def _interpret_exactly(node: Any) -> tuple[str, str]:
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


def _with_defaults(actual: GVK, expected: GVK) -> GVK:
    group, version, kind = actual
    if not version and (not group or group == expected.group):
        group, version = expected.group, expected.version
    return GVK(group, version, kind or expected.kind)


def _decode_protobuf(body: bytes, expected: GVK) -> tuple[dict[str, Any], GVK, list[str]]:
    gvk: GVK | None = None
    try:
        version, kind, message = protobuf.open_envelope(body)
        gvk = _with_defaults(protobuf.kind_of(version, kind), expected)
        type_id = types.type_of(gvk)
        if type_id is None:
            raise Refused(not_registered(gvk), gvk)
        obj = normalize(gvk, protobuf.decode(gvk, message))
    except protobuf.ProtobufError as error:
        raise Refused(str(error), gvk) from None
    if gvk.kind != expected.kind:
        raise Refused(
            f"converting ({types.printed(type_id)}) to ({types.internal_name(expected)}): unknown conversion", gvk
        )
    return {"kind": gvk.kind, "apiVersion": gvk.api_version} | _without_type(obj), gvk, []


@lru_cache(2048)
def _has_opaque(type_id: str) -> bool:
    """Whether a type holds opaque JSON whose numbers must survive as they were written; FieldsV1 has none."""
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

    return bool(type_id) and below(type_id)


# --- custom resources ------------------------------------------------------------------------------------------------
def _decode_custom(
    body: bytes, media_type: str, check: bool, prune: Prune | None
) -> tuple[dict[str, Any], GVK, list[str]]:
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
        read_tree = orjson_or_tree(value)
    elif media_type == YAML:
        value = _read_yaml(body)
        read_tree = orjson_or_tree(value)
        if check and (doubled := yaml_codec.duplicate_keys(body)):
            complaints.append("yaml: unmarshal errors:\n  " + "\n  ".join(doubled))
    else:
        value, read_tree = _read_json(body, GVK("", "", ""))
        if check and has_duplicates(body, value):
            complaints.extend(strict.duplicates(strict.parse(body)))
    gvk = _interpret(value, read_tree)
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


# --- both ------------------------------------------------------------------------------------------------------------
def has_duplicates(body: bytes, value: Any) -> bool:
    """Whether some object in the JSON has a key twice. `value` is what orjson made of it."""
    try:
        if orjson.dumps(value, default=str) == body.rstrip():
            return False  # nothing was lost, so nothing was there twice
    except TypeError:
        pass  # deeper than orjson prints; look properly
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


def _warnings(complaints: list[str]) -> tuple[str, ...]:
    """Complaints as warnings: those of YAML are split into lines (parseYAMLWarnings)."""
    prefix = "yaml: unmarshal errors:\n"
    split: list[str] = []
    for one in complaints:
        split += [line.strip() for line in one.removeprefix(prefix).split("\n")] if one.startswith(prefix) else [one]
    return tuple(split)


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    more = " ..." if len(body) > _SUMMARY_BYTES else ""
    start = body[:_SUMMARY_BYTES]
    return (json_codec.text_of(start) if body[:1] == b"{" else start.hex()) + more
