"""Tokens of service accounts: made by the issuer, good until what they rest on goes."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key, Object
from ledger.auth.api import Authenticated, Unauthenticated
from ledger.auth.jwt import PrivateKey, VerificationKey, signed_token
from ledger.auth.serviceaccounts import ServiceAccountTokens
from ledger.log.api import Entry
from ledger.log.event import Change, Event

NOW = 1_795_470_000
ISSUER = "https://kubernetes.default.svc"
KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BOT, POD, NODE, SECRET = (
    Key("", resource, namespace, name)
    for resource, namespace, name in (
        ("serviceaccounts", "ns", "bot"), ("pods", "ns", "p"), ("nodes", "", "n"), ("secrets", "ns", "s"),
    )
)  # fmt: skip


def stored(name: str, uid: str, **metadata: str) -> Object:
    return {"metadata": {"name": name, "uid": uid, **metadata}}


def cluster() -> dict[Key, Object]:
    return {BOT: stored("bot", "u1"), POD: stored("p", "u2"), NODE: stored("n", "u3"), SECRET: stored("s", "u4")}


def claims(audience: Any = (ISSUER,), bound: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    private = {"namespace": "ns", "serviceaccount": {"name": "bot", "uid": "u1"}} | (bound or {})
    made = {"iss": ISSUER, "sub": "system:serviceaccount:ns:bot", "aud": audience, "jti": "j", "kubernetes.io": private}
    return made | {"iat": NOW, "nbf": NOW, "exp": NOW + 3600} | changes


def authenticator(objects: dict[Key, Object], now: list[float] | None = None) -> ServiceAccountTokens:
    clock = now if now is not None else [float(NOW)]
    keys = tuple(VerificationKey(key.public_key()) for key in (KEY, RSA_KEY))
    return ServiceAccountTokens((ISSUER,), keys, (ISSUER,), objects.get, lambda: int(clock[0] * 1_000_000))


def authenticate(
    made: dict[str, Any], key: PrivateKey = KEY, *audiences: str, objects: Any = None
) -> Authenticated | None:
    return authenticator(cluster() if objects is None else objects)(signed_token(key, made), audiences)


@pytest.mark.parametrize("key", [KEY, RSA_KEY], ids=["ES256", "RS256"])
def test_a_token_speaks_for_its_account(key: PrivateKey) -> None:
    found = authenticate(claims(), key)
    assert found is not None
    assert (found.user.name, found.user.uid) == ("system:serviceaccount:ns:bot", "u1")
    assert found.user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert found.user.extra == {"authentication.kubernetes.io/credential-id": ("JTI=j",)}
    assert found.audiences == (ISSUER,)


@pytest.mark.parametrize("bound, extra", [
    ({"pod": {"name": "p", "uid": "u2"}}, {"pod-name": "p", "pod-uid": "u2"}),
    ({"pod": {"name": "p", "uid": "u2"}, "node": {"name": "gone"}}, {"pod-name": "p", "pod-uid": "u2", "node-name": "gone"}),
    ({"node": {"name": "n", "uid": "u3"}}, {"node-name": "n", "node-uid": "u3"}),
    ({"secret": {"name": "s", "uid": "u4"}}, {}),
])  # fmt: skip
def test_a_bound_token_says_what_it_is_bound_to(bound: dict[str, Any], extra: dict[str, str]) -> None:
    found = authenticate(claims(bound=bound))
    assert found is not None
    told = {
        key.partition("/")[2]: value for key, (value,) in found.user.extra.items() if not key.endswith("credential-id")
    }
    assert told == extra


def committed(*keys: Key) -> Entry:
    """What a log listener is told when these objects change."""
    event = Event("id", 0, 0, "update", "/", User("alice"), 200)
    return Entry(event, tuple(Change(key, b"{}") for key in keys))


def test_what_a_token_rests_on_is_looked_up_again_only_after_it_changed() -> None:
    objects, looked_up, now = cluster(), [], [float(NOW)]

    def lookup(key: Key) -> Object | None:
        looked_up.append(key)
        return objects.get(key)

    tokens = ServiceAccountTokens(
        (ISSUER,), (VerificationKey(KEY.public_key()),), (ISSUER,), lookup, lambda: int(now[0] * 1_000_000)
    )
    text = signed_token(KEY, claims(bound={"pod": {"name": "p", "uid": "u2"}}))

    def asked() -> list[Key]:
        looked_up.clear()
        assert tokens(text, ()) is not None
        return looked_up

    assert asked() == [BOT, POD]
    assert asked() == []
    tokens.follow([committed(NODE, SECRET)])
    assert asked() == []
    tokens.follow([committed(POD)])
    assert asked() == [BOT, POD]
    assert asked() == []
    now[0] += 11
    assert asked() == [BOT, POD]
    now[0] = NOW + 3600 - 1
    assert (asked()[:], asked()) == ([BOT, POD], [])
    now[0] += 1  # it has expired, and is good for another minute
    assert asked() == [BOT, POD]


@pytest.mark.parametrize("change, bound, why", [
    ({BOT: None}, {}, 'serviceaccounts "bot" not found'),
    ({BOT: stored("bot", "u9")}, {}, "service account UID (u9) does not match claim (u1)"),
    ({BOT: stored("bot", "u1", deletionTimestamp="2026-11-23T21:38:00Z")}, {}, "service account ns/bot has been deleted"),
    ({POD: None}, {"pod": {"name": "p", "uid": "u2"}}, "service account token has been invalidated"),
    ({POD: stored("p", "u9")}, {"pod": {"name": "p", "uid": "u2"}}, "pod UID (u9) does not match service account pod ref claim (u2)"),
    ({NODE: None}, {"node": {"name": "n", "uid": "u3"}}, "service account token has been invalidated"),
    ({SECRET: None}, {"secret": {"name": "s", "uid": "u4"}}, "service account token has been invalidated"),
])  # fmt: skip
def test_a_token_ends_at_once_with_what_it_rests_on(
    change: dict[Key, Object | None], bound: dict[str, Any], why: str
) -> None:
    objects = cluster()
    tokens, text = authenticator(objects), signed_token(KEY, claims(bound=bound))
    assert tokens(text, ()) is not None
    for key, found in change.items():
        objects.pop(key)
        if found is not None:
            objects[key] = found
    tokens.follow([committed(*change)])
    with pytest.raises(Unauthenticated) as refused:
        tokens(text, ())
    assert str(refused.value) == why


@pytest.mark.parametrize("seconds, why", [
    (3600 + 59, None),
    (3600 + 61, "service account token has expired"),
    (-61, "service account token is not valid yet"),
])  # fmt: skip
def test_clocks_may_differ_by_a_minute(seconds: int, why: str | None) -> None:
    tokens, text = authenticator(cluster(), [float(NOW + seconds)]), signed_token(KEY, claims())
    if why is None:
        assert tokens(text, ()) is not None
    else:
        with pytest.raises(Unauthenticated, match=why):
            tokens(text, ())


def test_a_pod_that_is_being_deleted_keeps_its_token_for_a_minute() -> None:
    objects = cluster() | {POD: stored("p", "u2", deletionTimestamp="2026-11-23T21:39:30Z")}
    assert authenticate(claims(bound={"pod": {"name": "p", "uid": "u2"}}), objects=objects) is not None


@pytest.mark.parametrize("audience, wanted, common", [
    ([ISSUER, "x"], (), (ISSUER,)),
    (["other"], ("other",), ("other",)),
    ("other", ("a", "other"), ("other",)),
    ([], (), (ISSUER,)),
    (["other"], (), None),
    ([ISSUER], ("other",), None),
])  # fmt: skip
def test_a_token_is_good_for_its_audiences(
    audience: Any, wanted: tuple[str, ...], common: tuple[str, ...] | None
) -> None:
    if common is None:
        with pytest.raises(Unauthenticated, match="is invalid for the target audiences"):
            authenticate(claims(audience), KEY, *wanted)
    else:
        found = authenticate(claims(audience), KEY, *wanted)
        assert found is not None and found.audiences == common


class TestForgery:
    def test_a_signature_by_another_key_is_no_good(self) -> None:
        stranger = ec.generate_private_key(ec.SECP256R1())
        with pytest.raises(Unauthenticated, match="no keys found"):
            authenticate(claims(), stranger)

    def test_a_changed_claim_is_no_good(self) -> None:
        header, _, signature = signed_token(KEY, claims()).split(".")
        changed = (
            base64.urlsafe_b64encode(orjson.dumps(claims(sub="system:serviceaccount:ns:root"))).rstrip(b"=").decode()
        )
        with pytest.raises(Unauthenticated):
            authenticator(cluster())(f"{header}.{changed}.{signature}", ())

    @pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
    def test_the_token_does_not_choose_the_algorithm(self, algorithm: str) -> None:
        header = base64.urlsafe_b64encode(orjson.dumps({"alg": algorithm})).rstrip(b"=").decode()
        body = base64.urlsafe_b64encode(orjson.dumps(claims())).rstrip(b"=").decode()
        for signature in ("", "AAAA"):
            with pytest.raises(Unauthenticated):
                authenticator(cluster())(f"{header}.{body}.{signature}", ())

    @pytest.mark.parametrize(
        "text", ["", "x", "a.b", "a.b.c", "..", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.eA"]
    )
    def test_what_is_no_token_of_ours_is_left_to_others(self, text: str) -> None:
        assert authenticator(cluster())(text, ()) is None


class TestLegacy:
    """Tokens that lie in a Secret."""

    LEGACY = {
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:ns:bot",
        "kubernetes.io/serviceaccount/namespace": "ns",
        "kubernetes.io/serviceaccount/secret.name": "s",
        "kubernetes.io/serviceaccount/service-account.name": "bot",
        "kubernetes.io/serviceaccount/service-account.uid": "u1",
    }

    def objects(self, kept: str) -> dict[Key, Object]:
        objects = cluster()
        objects[SECRET]["data"] = {"token": base64.b64encode(kept.encode()).decode()}
        return objects

    def test_it_is_good_while_it_lies_there(self) -> None:
        text = signed_token(KEY, self.LEGACY)
        found = authenticator(self.objects(text))(text, ())
        assert found is not None and found.user.name == "system:serviceaccount:ns:bot"

    @pytest.mark.parametrize("kept, change, why", [
        ("other", {}, "Token does not match server's copy"),
        ("", {"sub": "system:serviceaccount:ns:root"}, "sub claim is invalid"),
        ("", {"kubernetes.io/serviceaccount/secret.name": "none"}, "Token has been invalidated"),
        ("", {"kubernetes.io/serviceaccount/secret.name": ""}, "secretName claim is missing"),
        ("", {"kubernetes.io/serviceaccount/service-account.uid": "u9"}, "ServiceAccount UID (u1) does not match claim (u9)"),
    ])  # fmt: skip
    def test_and_not_otherwise(self, kept: str, change: dict[str, str], why: str) -> None:
        text = signed_token(KEY, self.LEGACY | change)
        with pytest.raises(Unauthenticated) as refused:
            authenticator(self.objects(kept or text))(text, ())
        assert str(refused.value) == why


def test_a_signature_is_checked_once_in_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[bytes] = []
    verify = VerificationKey.verify
    monkeypatch.setattr(VerificationKey, "verify", lambda *args: checks.append(args[1]) or verify(*args))
    now = [float(NOW)]
    tokens, text = authenticator(cluster(), now), signed_token(KEY, claims())
    for seconds in (0, 5, 9, 11):
        now[0] = NOW + seconds
        tokens(text, ())
    assert len(checks) == 2
