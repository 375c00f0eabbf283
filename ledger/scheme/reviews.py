"""Answers of webhooks: AdmissionReview, ConversionReview, TokenReview, SubjectAccessReview, as client-go decodes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.apimachinery.gotext import json_kind
from ledger.apimachinery.json_syntax import syntax_error
from ledger.apimachinery.resource import GVK
from ledger.scheme import strict, types
from ledger.scheme.body import Refused, interpret, read_json, read_yaml, tree_of, with_defaults
from ledger.scheme.codec import not_registered
from ledger.scheme.normalize import Mismatch, normalize

STATUS = GVK("", "v1", "Status")


class Undecodable(ValueError):
    """An answer that is none; the text is what client-go says of it."""


def decode_review(body: bytes, expected: GVK) -> dict[str, Any]:
    """The review through its Go type; kind and apiVersion are there only if they were sent. Raises Undecodable."""
    try:
        value, read_tree = _read(body, expected)
        given = with_defaults(interpret(value, read_tree), expected)
    except Refused as refused:
        raise Undecodable(str(refused)) from None
    if given != expected:
        raise Undecodable(_unexpected(given, expected))
    try:
        return normalize(expected, value, False)
    except (Mismatch, RecursionError):
        type_id = types.type_of(expected)
        assert type_id is not None
        exact = strict.decode(read_tree(), type_id)
        if exact.error:
            raise Undecodable(exact.error) from None
        return normalize(expected, exact.obj, False)


def _read(body: bytes, expected: GVK) -> tuple[Any, Callable[[], Any]]:
    """JSON, or else YAML: the decoder takes either."""
    if body.lstrip()[:1] == b"{" or not syntax_error(body):
        return read_json(body, expected)
    value, _ = read_yaml(body, False)
    if value is not None and not isinstance(value, dict):
        kind = "array" if isinstance(value, list) else json_kind(value)
        made_of = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        why = f"json: cannot unmarshal {kind} into Go value of type {made_of}"
        raise Undecodable(f"couldn't get version/kind; json parse error: {why}")
    return value, tree_of(value)


def _unexpected(given: GVK, expected: GVK) -> str:
    known = types.META + "Status" if given == STATUS else types.type_of(given)
    if (given.group != expected.group and given != STATUS) or known is None:
        return not_registered(given)
    wanted = types.type_of(expected)
    assert wanted is not None
    return f"converting ({types.printed(known)}) to ({types.printed(wanted)}): unknown conversion"
