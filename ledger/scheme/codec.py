"""Request bodies to objects, as kube-apiserver's create and update handlers decode them.

Built-in kinds go through their Go type (`normalize`), custom resources stay as they are. The fast path is orjson and a
compiled walk; only where something does not fit, or a field is unknown or doubled, the exact decoder of `strict` says
what Go would say. Messages are those of transformDecodeError and of the serializers in k8s.io/apimachinery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ledger.apimachinery import json_codec
from ledger.apimachinery.field import quoted
from ledger.apimachinery.negotiation import BUILTIN, JSON, PROTOBUF, content_type_of, unsupported_media_type
from ledger.apimachinery.resource import GVK
from ledger.apimachinery.status import StatusError, bad_request
from ledger.scheme import protobuf, strict, types
from ledger.scheme.body import Refused, has_duplicates, interpret, read_json, read_yaml, tree_of, with_defaults
from ledger.scheme.custom_codec import Prune, decode_custom, go_numbers, object_meta
from ledger.scheme.normalize import Mismatch, normal_form, normalize

__all__ = ["Decoded", "Refused", "decode", "decode_value", "go_numbers", "not_registered", "object_meta", "refusal"]

_SUMMARY_BYTES = 30


class Decoded(NamedTuple):
    """A decoded body."""

    obj: dict[str, Any]  # kind and apiVersion filled in, normal form for built-in kinds
    gvk: GVK
    warnings: tuple[str, ...]  # what a strict decoding complains of, each a Warning header


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
    bare: bool = False,
) -> Decoded:
    """The object a request sends for `expected`, which also supplies what the body leaves out.

    `validation` is the fieldValidation directive ("" means Warn). `accepts` says which group versions may be sent
    where that is more than the expected one. `prune` takes the fields out of a custom resource that its schema does
    not have, in place, and gives their paths. Raises StatusError 400 and 415, whose text says what the body should
    have been, unless `bare`.
    """
    media_type = content_type_of(content_type)
    if media_type not in accepted_types:
        raise unsupported_media_type(accepted_types)
    check = validation != "Ignore"
    try:
        if custom:
            obj, gvk, complaints = decode_custom(body, media_type, check, prune)
        else:
            obj, gvk, complaints = _decode_builtin(body, media_type, expected, check)
    except Refused as refused:
        raise bad_request(str(refused)) if bare else refusal(str(refused), refused.gvk, expected, body) from None
    except protobuf.ProtobufError as error:
        raise bad_request(str(error)) if bare else refusal(str(error), None, expected, body) from None
    except RecursionError:
        raise refusal("exceeded max depth", None, expected, body) from None
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
    obj, gvk, complaints = _typed(tree_of(obj), obj, expected, check)
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
        value, read_tree = read_json(body, expected)
    else:
        value, complaints = read_yaml(body, check)
        read_tree = tree_of(value)
    obj, gvk, more = _typed(read_tree, value, expected, check, body, media_type == JSON)
    return obj, gvk, complaints + more


def _typed(
    read_tree: Callable[[], Any],
    value: Any,
    expected: GVK,
    check: bool,
    body: bytes = b"",
    may_double: bool = False,
) -> tuple[dict[str, Any], GVK, list[str]]:
    """Decodes into the Go type that kind and apiVersion name; `may_double`: the body is JSON that may repeat fields."""
    gvk = expected if _says(value, expected) else with_defaults(interpret(value, read_tree), expected)
    if not gvk.version:
        raise Refused(f"Object 'apiVersion' is missing in '{json_codec.text_of(body)}'", gvk)
    type_id = types.type_of(gvk)
    if type_id is None:
        raise Refused(not_registered(gvk), gvk)
    complaints: list[str] = []
    obj: dict[str, Any] | None = None
    if not (may_double and has_duplicates(body, value)):
        try:
            obj = normal_form(type_id, {} if value is None else value, known=check)
        except (Mismatch, RecursionError):
            obj = None
    if obj is None:
        exact = strict.decode(read_tree(), type_id)
        if exact.error:
            raise Refused(exact.error, gvk)
        obj, complaints = normal_form(type_id, exact.obj), list(exact.strict_errors) if check else []
    if gvk.kind != expected.kind and gvk != expected:
        raise Refused(
            f"converting ({types.printed(type_id)}) to ({types.internal_name(expected)}): unknown conversion", gvk
        )
    return _with_type(obj, gvk), gvk, complaints


def _says(value: Any, expected: GVK) -> bool:
    """Whether an object names the expected kind, and has more to say (else its keys may be there in another case)."""
    return (
        type(value) is dict
        and len(value) > 2
        and value.get("kind") == expected.kind
        and value.get("apiVersion") == expected.api_version
    )


def _with_type(obj: dict[str, Any], gvk: GVK) -> dict[str, Any]:
    """A normal object, whose type comes first where it has one, with this kind and apiVersion."""
    kind, version = gvk.kind, gvk.api_version
    if obj.get("kind") == kind and obj.get("apiVersion") == version:
        return obj
    obj.pop("kind", None)
    obj.pop("apiVersion", None)
    return {"kind": kind, "apiVersion": version, **obj}


def _decode_protobuf(body: bytes, expected: GVK) -> tuple[dict[str, Any], GVK, list[str]]:
    gvk: GVK | None = None
    try:
        version, kind, message = protobuf.open_envelope(body)
        gvk = with_defaults(protobuf.kind_of(version, kind), expected)
        type_id = types.type_of(gvk)
        if type_id is None:
            raise Refused(not_registered(gvk), gvk)
        value = protobuf.decode(gvk, message)
    except protobuf.ProtobufError as error:
        raise Refused(str(error), gvk) from None
    try:
        obj = normalize(gvk, value)
    except Mismatch:  # what is text on the wire and yet no quantity
        raise Refused(strict.decode(strict.tree(value), type_id).error, gvk) from None
    if gvk.kind != expected.kind:
        raise Refused(
            f"converting ({types.printed(type_id)}) to ({types.internal_name(expected)}): unknown conversion", gvk
        )
    return _with_type(obj, gvk), gvk, []


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
