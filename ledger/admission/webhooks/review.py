"""AdmissionReview: the question to a webhook, and what its answer says.

Follows pkg/admission/plugin/webhook/request/admissionreview.go of k8s.io/apiserver.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.admission.api import Attributes
from ledger.admission.forms import kind_of, namespace_asked
from ledger.admission.rules import Matched
from ledger.admission.webhooks.matching import Invocation
from ledger.apimachinery import json_codec
from ledger.apimachinery.field import quoted
from ledger.apimachinery.resource import GVK
from ledger.scheme.reviews import decode_review

V1, V1BETA1 = (GVK("admission.k8s.io", version, "AdmissionReview") for version in ("v1", "v1beta1"))
_SPOKEN = {"v1": V1, "v1beta1": V1BETA1}


class Malformed(ValueError):
    """An answer that breaks the rules for answers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook answered."""

    allowed: bool
    status: dict[str, Any] | None  # of a denial: metav1.Status
    patch: bytes
    patch_type: str
    warnings: list[str]
    annotations: dict[str, str]


def spoken(versions: list[str]) -> GVK | None:
    """The first of the webhook's review versions that is known here."""
    return next((_SPOKEN[one] for one in versions if one in _SPOKEN), None)


def question(attributes: Attributes, invocation: Invocation) -> bytes:
    """The fields of the request behind its uid, as JSON without the opening brace."""
    own = Matched(attributes.definition, attributes.version)
    matched, part, user = invocation.matched, attributes.subresource, attributes.user
    about = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    who: dict[str, Any] = {name: value for name, value in about.items() if value}
    if user.extra:
        who["extra"] = {name: list(values) for name, values in user.extra.items()}
    fields: dict[str, Any] = {
        "kind": _kind(matched, part),
        "resource": _resource(matched),
        "subResource": part,
        "requestKind": _kind(own, part),
        "requestResource": _resource(own),
        "requestSubResource": part,
        "name": attributes.name,
        "namespace": namespace_asked(attributes),
        "operation": attributes.operation,
        "userInfo": who,
        "object": invocation.object,
        "oldObject": invocation.old,
        "dryRun": attributes.dry_run,
        "options": attributes.options or None,
    }
    return json_codec.dumps({name: value for name, value in fields.items() if value != ""})[1:]


def asked(kind: GVK, uid: str, fields: bytes) -> bytes:
    """The whole review."""
    head = orjson.dumps({"kind": kind.kind, "apiVersion": kind.api_version})[:-1]
    return b'%b,"request":{"uid":%b,%b}\n' % (head, orjson.dumps(uid), fields)


def _kind(matched: Matched, subresource: str) -> dict[str, str]:
    kind = kind_of(matched, subresource)
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(matched: Matched) -> dict[str, str]:
    definition = matched.definition
    return {"group": definition.group, "version": matched.version.name, "resource": definition.resource}


def verdict(body: bytes, kind: GVK, uid: str, mutating: bool) -> Verdict:
    """What the answer says. Raises scheme.reviews.Undecodable and Malformed."""
    review = decode_review(body, kind)
    response = review.get("response")
    if response is None:
        raise Malformed("webhook response was absent")
    patch, patch_type = base64.b64decode(response.get("patch") or ""), response.get("patchType")
    if kind == V1:
        if response.get("uid", "") != uid:
            raise Malformed(f"expected response.uid={quoted(uid)}, got {quoted(response.get('uid', ''))}")
        given = (review.get("apiVersion", ""), review.get("kind", ""))
        if given != (V1.api_version, V1.kind):
            shown = given[0] if "/" in given[0] else f"/{given[0]}"
            shown = f"{shown}, Kind={given[1]}"
            raise Malformed(f"expected webhook response of {V1.api_version}, Kind={V1.kind}, got {shown}")
        _check_patch(patch, patch_type, mutating)
    else:
        patch_type = "JSONPatch" if patch else ""
    return Verdict(
        bool(response.get("allowed")),
        response.get("status"),
        patch if mutating else b"",
        patch_type or "",
        response.get("warnings") or [],
        response.get("auditAnnotations") or {},
    )


def _check_patch(patch: bytes, patch_type: str | None, mutating: bool) -> None:
    if not mutating:
        if patch:
            raise Malformed("validating webhook may not return response.patch")
        if patch_type is not None:
            raise Malformed("validating webhook may not return response.patchType")
        return
    if patch and patch_type is None:
        raise Malformed("webhook returned response.patch but not response.patchType")
    if not patch and patch_type is not None:
        raise Malformed("webhook returned response.patchType but not response.patch")
    if patch_type == "":
        raise Malformed(f"webhook returned invalid response.patchType of {quoted(patch_type)}")
