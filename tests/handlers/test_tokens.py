"""TokenRequest: which tokens are made, with which claims, and which requests are refused."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.apimachinery.resource import Key, Object
from ledger.apimachinery.status import StatusError
from ledger.auth.jwt import VerificationKey, parse_token
from ledger.auth.serviceaccounts import ServiceAccountTokens
from ledger.handlers.tokens import TokenIssuer, openid_handlers
from tests.pipeline.requests import header, request_for

NOW_S = 1_795_470_000
HERE = "https://kubernetes.default.svc"
KEY = ec.generate_private_key(ec.SECP256R1())


def stored(namespace: str, name: str, uid: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "uid": uid}, **more}


CLUSTER: dict[Key, Object] = {
    Key("", "serviceaccounts", "ns", "bot"): stored("ns", "bot", "u1"),
    Key("", "pods", "ns", "p"): stored("ns", "p", "u2", spec={"serviceAccountName": "bot", "nodeName": "n"}),
    Key("", "pods", "ns", "lost"): stored("ns", "lost", "u5", spec={"serviceAccountName": "bot", "nodeName": "gone"}),
    Key("", "pods", "ns", "other"): stored("ns", "other", "u6", spec={"serviceAccountName": "eve"}),
    Key("", "nodes", "", "n"): stored("", "n", "u3"),
    Key("", "secrets", "ns", "s"): stored("ns", "s", "u4"),
}
ISSUER = TokenIssuer(HERE, KEY, (HERE,), CLUSTER.get, lambda: "id")


def issue(name: str = "bot", metadata: dict[str, Any] | None = None, **spec: Any) -> Object:
    return ISSUER.issue("ns", name, {"metadata": metadata or {}, "spec": spec}, NOW_S * 1_000_000)[0]


def claims_of(answered: Object) -> dict[str, Any]:
    token = parse_token(answered["status"]["token"])
    assert token is not None
    return token.verified_by((VerificationKey(KEY.public_key()),))


def bound_to(kind: str, name: str, version: str = "v1", **more: str) -> dict[str, str]:
    return {"kind": kind, "apiVersion": version, "name": name, **more}


def test_a_token_for_an_hour_and_for_this_server_unless_asked_otherwise() -> None:
    answered = issue()
    assert answered["metadata"] == {
        "name": "bot", "namespace": "ns", "uid": "u1", "creationTimestamp": "2026-11-23T21:40:00Z",
    }  # fmt: skip
    assert answered["spec"] == {"audiences": [HERE], "expirationSeconds": 3600, "boundObjectRef": None}
    assert answered["status"]["expirationTimestamp"] == "2026-11-23T22:40:00Z"
    assert claims_of(answered) == {
        "iss": HERE,
        "sub": "system:serviceaccount:ns:bot",
        "aud": [HERE],
        "jti": "id",
        "iat": NOW_S,
        "nbf": NOW_S,
        "exp": NOW_S + 3600,
        "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "bot", "uid": "u1"}},
    }


def test_the_server_accepts_what_it_issues() -> None:
    keys = (VerificationKey(KEY.public_key()),)
    tokens = ServiceAccountTokens((HERE,), keys, (HERE,), CLUSTER.get, lambda: NOW_S * 1_000_000)
    for reference in (None, bound_to("Pod", "p"), bound_to("Node", "n"), bound_to("Secret", "s")):
        found = tokens(issue(boundObjectRef=reference)["status"]["token"], ())
        assert found is not None and found.user.uid == "u1"


@pytest.mark.parametrize("reference, claims", [
    (bound_to("Pod", "p"), {"pod": {"name": "p", "uid": "u2"}, "node": {"name": "n", "uid": "u3"}}),
    (bound_to("Pod", "lost"), {"pod": {"name": "lost", "uid": "u5"}, "node": {"name": "gone"}}),
    (bound_to("Node", "n"), {"node": {"name": "n", "uid": "u3"}}),
    (bound_to("Secret", "s", uid="u4"), {"secret": {"name": "s", "uid": "u4"}}),
])  # fmt: skip
def test_a_bound_token_names_what_it_ends_with(reference: dict[str, str], claims: dict[str, Any]) -> None:
    private = claims_of(issue(boundObjectRef=reference))["kubernetes.io"]
    assert private == {"namespace": "ns", "serviceaccount": {"name": "bot", "uid": "u1"}} | claims


@pytest.mark.parametrize("seconds, reference, audiences, age_s, warns", [
    (3607, bound_to("Pod", "p"),    [],        365 * 24 * 3600, True),
    (3607, bound_to("Pod", "p"),    ["other"], 3607,            False),
    (3607, None,                    [],        3607,            False),
    (3600, bound_to("Pod", "p"),    [],        3600,            False),
])  # fmt: skip
def test_a_pod_s_own_token_outlives_clients_that_read_it_once(
    seconds: int, reference: dict[str, str] | None, audiences: list[str], age_s: int, warns: bool
) -> None:
    answered = issue(expirationSeconds=seconds, boundObjectRef=reference, audiences=audiences)
    claims = claims_of(answered)
    assert claims["exp"] - claims["iat"] == age_s
    assert ("warnafter" in claims["kubernetes.io"]) is warns
    assert answered["status"]["expirationTimestamp"] == f"2026-11-23T22:40:0{seconds - 3600}Z"


INVALID = "TokenRequest.authentication.k8s.io"


@pytest.mark.parametrize("asked, code, message", [
    ({"name": "none"}, 404, 'serviceaccounts "none" not found'),
    ({"metadata": {"name": "z"}}, 422, f'{INVALID} "bot" is invalid: metadata.name: Invalid value: "z": must match the service account name if specified'),
    ({"metadata": {"namespace": "z"}}, 422, f'{INVALID} "bot" is invalid: metadata.namespace: Invalid value: "z": must match the service account namespace if specified'),
    ({"metadata": {"uid": "z"}}, 409, f'Operation cannot be fulfilled on {INVALID} "bot": the UID in the token request (z) does not match the UID of the service account (u1)'),
    ({"expirationSeconds": 60}, 422, f'{INVALID} "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes'),
    ({"expirationSeconds": 5294967296}, 422, f'{INVALID} "" is invalid: spec.expirationSeconds: Invalid value: 5294967296: may not specify a duration larger than 2^32 seconds'),
    ({"boundObjectRef": bound_to("Secret", "none")}, 404, 'secrets "none" not found'),
    ({"boundObjectRef": bound_to("Node", "none")}, 404, 'nodes "none" not found'),
    ({"boundObjectRef": bound_to("ConfigMap", "x")}, 400, "cannot bind token to object of type /v1, Kind=ConfigMap"),
    ({"boundObjectRef": bound_to("Pod", "x", "apps/v1")}, 400, "cannot bind token to object of type apps/v1, Kind=Pod"),
    ({"boundObjectRef": bound_to("Pod", "other")}, 400, 'cannot bind token for serviceaccount "bot" to pod running with different serviceaccount name.'),
    ({"boundObjectRef": bound_to("Secret", "s", uid="z")}, 409, 'Operation cannot be fulfilled on Secret "s": the UID in the bound object reference (z) does not match the UID in record. The object might have been deleted and then recreated'),
])  # fmt: skip
def test_what_is_refused(asked: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        issue(**asked)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_others_can_find_the_keys_and_check_a_token() -> None:
    keys = [VerificationKey(KEY.public_key())]
    handlers = openid_handlers(HERE, "https://192.0.2.1:6443/openid/v1/jwks", keys)

    async def get(path: str) -> tuple[str, str, Any]:
        response = await handlers[path](request_for(f"GET {path}"))
        return header(response, "content-type"), header(response, "cache-control"), orjson.loads(response.body)

    assert trio.run(get, "/.well-known/openid-configuration") == (
        "application/json",
        "public, max-age=3600",
        {
            "issuer": HERE,
            "jwks_uri": "https://192.0.2.1:6443/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        },
    )
    content_type, _, document = trio.run(get, "/openid/v1/jwks")
    assert content_type == "application/jwk-set+json"
    token = parse_token(issue()["status"]["token"])
    assert token is not None
    assert [(key["kid"], key["kty"], key["alg"]) for key in document["keys"]] == [(token.key_id, "EC", "ES256")]
