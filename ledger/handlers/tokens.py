"""serviceaccounts/token: makes tokens for service accounts, and tells others how to check them (OIDC discovery).

Follows pkg/registry/core/serviceaccount/storage/token.go and pkg/serviceaccount in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.apimachinery import field as fields
from ledger.apimachinery import status
from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.managedfields import manager_name
from ledger.apimachinery.negotiation import negotiate
from ledger.apimachinery.resource import GVK, GroupResource, Key, Object, split_api_version
from ledger.apimachinery.times import rfc3339
from ledger.auth.jwt import Claims, PrivateKey, VerificationKey, signed_token
from ledger.auth.serviceaccounts import Lookup
from ledger.auth.usernames import service_account_username
from ledger.handlers.api import Api, warn
from ledger.handlers.documents import check_route
from ledger.registry import decide
from ledger.registry.options import query_of, write_options
from ledger.registry.registry import Call

TOKEN_REQUEST = GVK("authentication.k8s.io", "v1", "TokenRequest")
_HOUR_S = 3600
_AGE_MIN_S, _AGE_MAX_S = 600, 1 << 32
# What a kubelet asks for a pod's token. The token then lives a year, and warns after this hour: old clients read the
# file once and never again.
_PROJECTED_S, _EXTENDED_S = 3607, 365 * 24 * 3600
_BOUND = {"Pod": "pods", "Node": "nodes", "Secret": "secrets"}
_KEYS_MAX_AGE_S = 3600

Verb = Callable[[Api, Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Signs tokens as this issuer. `lookup` reads the store as it is now."""

    issuer: str
    key: PrivateKey
    audiences: tuple[str, ...]  # the server's own: for requests that name none
    lookup: Lookup
    new_uuid: Callable[[], str]

    def issue(self, namespace: str, name: str, obj: Object, now: int) -> tuple[Object, str]:
        """The TokenRequest answered, and the token's id; `now` in microseconds since 1970.

        Raises StatusError 400, 404, 409 or 422 as the request deserves.
        """
        metadata, spec = obj.get("metadata") or {}, dict(obj.get("spec") or {})
        _check_names(metadata, namespace, name)
        account = self.lookup(Key("", "serviceaccounts", namespace, name))
        if account is None:
            raise status.not_found(GroupResource("", "serviceaccounts"), name)
        uid = account["metadata"].get("uid", "")
        if metadata.get("uid") and metadata["uid"] != uid:
            why = f"the UID in the token request ({metadata['uid']}) does not match the UID of the service account ({uid})"
            raise status.conflict(GroupResource(TOKEN_REQUEST.group, TOKEN_REQUEST.kind), name, why)
        spec["audiences"] = list(spec.get("audiences") or self.audiences)
        if spec.get("expirationSeconds") is None:
            spec["expirationSeconds"] = _HOUR_S
        _check_spec(spec)
        claims = self._claims(account, spec, now)
        shown = {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": rfc3339(now)}
        expires = rfc3339(now + spec["expirationSeconds"] * 1_000_000)
        answered = {
            "kind": TOKEN_REQUEST.kind,
            "apiVersion": TOKEN_REQUEST.api_version,
            "metadata": shown | {key: value for key, value in metadata.items() if key not in shown},
            "spec": {
                "audiences": spec["audiences"],
                "expirationSeconds": spec["expirationSeconds"],
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": signed_token(self.key, claims), "expirationTimestamp": expires},
        }
        return answered, claims["jti"]

    def _claims(self, account: Object, spec: dict[str, Any], now: int) -> Claims:
        metadata = account["metadata"]
        private: Claims = {"namespace": metadata["namespace"], "serviceaccount": _reference(account)}
        private |= self._bound(account, spec.get("boundObjectRef"))
        now_s, age_s = now // 1_000_000, spec["expirationSeconds"]
        for_us = set(spec["audiences"]) <= set(self.audiences)
        if age_s == _PROJECTED_S and "pod" in private and for_us:
            private["warnafter"] = now_s + age_s
            age_s = _EXTENDED_S
        return {
            "iss": self.issuer,
            "sub": service_account_username(metadata["namespace"], metadata["name"]),
            "aud": spec["audiences"],
            "jti": self.new_uuid(),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + age_s,
            "kubernetes.io": private,
        }

    def _bound(self, account: Object, reference: dict[str, Any] | None) -> Claims:
        """The claims that name what the token ends with."""
        if reference is None:
            return {}
        group, version = split_api_version(reference.get("apiVersion", ""))
        kind, name = reference.get("kind", ""), reference.get("name", "")
        resource = _BOUND.get(kind) if not group else None
        if resource is None:
            raise status.bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        namespace = "" if kind == "Node" else account["metadata"]["namespace"]
        found = self.lookup(Key("", resource, namespace, name))
        if found is None:
            raise status.not_found(GroupResource("", resource), name)
        claims: Claims = {kind.lower(): _reference(found)}
        if kind == "Pod":
            claims |= self._node_of(found, account["metadata"]["name"])
        uid = found["metadata"].get("uid", "")
        if reference.get("uid") and reference["uid"] != uid:
            why = (
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise status.conflict(GroupResource(group, kind), name, why)
        return claims

    def _node_of(self, pod: Object, account: str) -> Claims:
        spec = pod.get("spec") or {}
        if spec.get("serviceAccountName", "") != account:
            why = f"cannot bind token for serviceaccount {quoted(account)} to pod running with different serviceaccount name."
            raise status.bad_request(why)
        node_name = spec.get("nodeName", "")
        if not node_name:
            return {}
        node = self.lookup(Key("", "nodes", "", node_name))
        # A node that has gone still says where the pod was meant to run.
        return {"node": _reference(node) if node is not None else {"name": node_name}}


def token_verb(issuer: TokenIssuer) -> Verb:
    """The create handler of serviceaccounts/token."""

    async def request_token(api: Api, call: Call) -> Response:
        negotiate(call.request.headers.get("accept"), table=False)
        options = write_options(query_of(call.request), "CreateOptions")
        body = await call.request.read_body()
        content_type = call.request.headers.get("content-type")
        obj, warnings = api.behaviour.decode_kind(TOKEN_REQUEST, body, content_type, options.field_validation)
        warn(call.request, warnings)
        now, manager = api.clock(), manager_name(options.field_manager, call.request.headers.get("user-agent"))
        obj["metadata"]["managedFields"] = [_ownership(obj, manager, now)]
        given_uid = obj["metadata"].get("uid", "")
        if obj.setdefault("spec", {}).get("expirationSeconds") is None:
            obj["spec"]["expirationSeconds"] = _HOUR_S
        obj["metadata"].setdefault("namespace", call.namespace)

        def complete(obj: Object) -> None:
            decide.fill_system_fields(obj, now, api.registry.new_uid())
            obj["metadata"].setdefault("name", call.name)

        admitted = await api.registry.admit(
            call, "CREATE", obj, options.as_object("CreateOptions"), options.dry_run, complete
        )
        obj = {**admitted, "metadata": {**admitted["metadata"], "uid": given_uid}}
        answered, token_id = issuer.issue(call.namespace, call.name, obj, now)
        call.request.annotations["authentication.kubernetes.io/issued-credential-id"] = f"JTI={token_id}"
        return api.encoder.plain(call.request, TOKEN_REQUEST, answered, 201)

    return request_token


def openid_handlers(issuer: str, jwks_uri: str, keys: Sequence[VerificationKey]) -> dict[str, Handler]:
    """By path: where the keys are, and the keys. Whoever is given a token can check it with these alone."""
    configuration = {
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({key.algorithm for key in keys}),
    }
    return {
        "/.well-known/openid-configuration": _document(configuration, "application/json"),
        "/openid/v1/jwks": _document({"keys": [key.as_jwk() for key in keys]}, "application/jwk-set+json"),
    }


def _document(document: dict[str, Any], content_type: str) -> Handler:
    body = orjson.dumps(document)
    headers = [("content-type", content_type), ("cache-control", f"public, max-age={_KEYS_MAX_AGE_S}")]

    async def answer(request: Request) -> Response:
        check_route(request, (content_type,))
        return Response(200, list(headers), body)

    return answer


def _ownership(obj: Object, manager: str, now: int) -> dict[str, Any]:
    """Who wrote the request. Its lists are atomic, so no schema is needed to tell its fields."""
    spec = {"expirationSeconds": _HOUR_S} | {key: value for key, value in (obj.get("spec") or {}).items() if value}
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": TOKEN_REQUEST.api_version,
        "time": rfc3339(now),
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": _fields(spec)},
        "subresource": "token",
    }


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    return {f"f:{key}": _fields(value[key]) if isinstance(value[key], dict) else {} for key in sorted(value)}


def _check_names(metadata: dict[str, Any], namespace: str, name: str) -> None:
    for key, wanted, what in (("name", name, "name"), ("namespace", namespace, "namespace")):
        given = metadata.get(key, "")
        if given and given != wanted:
            error = fields.invalid(f"metadata.{key}", given, f"must match the service account {what} if specified")
            raise status.invalid(TOKEN_REQUEST.group, TOKEN_REQUEST.kind, name, [error])


def _check_spec(spec: dict[str, Any]) -> None:
    errors, age_s = [], spec["expirationSeconds"]
    if age_s < _AGE_MIN_S:
        why = "may not specify a duration less than 10 minutes"
        errors.append(fields.invalid("spec.expirationSeconds", age_s, why))
    if age_s > _AGE_MAX_S:
        why = "may not specify a duration larger than 2^32 seconds"
        errors.append(fields.invalid("spec.expirationSeconds", age_s, why))
    if errors:
        raise status.invalid(TOKEN_REQUEST.group, TOKEN_REQUEST.kind, "", errors)


def _reference(found: Object) -> dict[str, str]:
    metadata = found["metadata"]
    return {key: metadata[key] for key in ("name", "uid") if metadata.get(key)}
