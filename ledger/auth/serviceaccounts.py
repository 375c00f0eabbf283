"""Tokens of service accounts: bound ones (from TokenRequest) and legacy ones (kept in a Secret).

A signature is checked once in a while and remembered for ten seconds. So is what the token rests on (the account, the
pod, the secret, the node: each by name and uid), until one of these objects changes: `follow` is told of every commit. A
token thus ends with the object it is bound to, at once, and yet costs two microseconds. Follows pkg/serviceaccount in
k8s.io/kubernetes.
"""

from __future__ import annotations

import base64
import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key, Object
from ledger.auth.api import Authenticated, Unauthenticated, in_everybody
from ledger.auth.jwt import BadToken, Claims, VerificationKey, parse_token
from ledger.auth.usernames import service_account_groups, service_account_username, split_service_account
from ledger.auth.x509 import CREDENTIAL_ID
from ledger.log.api import Entry

Lookup = Callable[[Key], Object | None]  # the object now, decoded
_Asked = tuple[bytes, tuple[str, ...]]  # the token's hash, the audiences it was asked about
LEGACY_ISSUER = "kubernetes/serviceaccount"
_EXTRA = "authentication.kubernetes.io/"
_LEGACY = "kubernetes.io/serviceaccount/"
_LEEWAY_S = 60.0  # for clocks, and for a pod that is being deleted to finish its work
_INVALIDATED = "service account token has been invalidated"


class _Known(NamedTuple):
    """What was found about a token."""

    until_s: float
    found: Authenticated
    rests_on: tuple[Key, ...]


class ServiceAccountTokens:
    """An AuthenticateToken for tokens of these issuers, signed by one of these keys. Keep it true with `follow`."""

    def __init__(
        self,
        issuers: tuple[str, ...],
        keys: tuple[VerificationKey, ...],
        audiences: tuple[str, ...],  # the server's own, for tokens that name none
        lookup: Lookup,
        clock_us: Callable[[], int],  # microseconds since 1970
        *,
        remembered_s: float = 10.0,
        remembered_max: int = 4096,
    ) -> None:
        self._issuers, self._keys, self._audiences = issuers, keys, audiences
        self._lookup, self._clock_us = lookup, clock_us
        self._remembered_s, self._remembered_max = remembered_s, remembered_max
        self._verified: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()  # by the token's hash
        self._known: OrderedDict[_Asked, _Known] = OrderedDict()
        self._resting_on: dict[Key, set[_Asked]] = {}
        self._looked_up: dict[Key, Object | None] = {}  # for the token that is looked at

    def __call__(self, text: str, audiences: tuple[str, ...]) -> Authenticated | None:
        """None for what is no token of ours; raises Unauthenticated, as to why it is no good."""
        now = self._clock_us() / 1e6
        digest = sha256(text.encode()).digest()  # tokens themselves are not kept in memory
        known = self._known.get((digest, audiences))
        if known is not None and now < known.until_s:
            return known.found
        self._looked_up = {}
        claims = self._claims(digest, text, now)
        if claims is None:
            return None
        found = self._authenticate(text, audiences, claims, now)
        self._remember((digest, audiences), found, claims, now)
        return found

    def follow(self, entries: Sequence[Entry]) -> None:
        """A log listener: what rests on a changed object is found out again."""
        if not self._resting_on:
            return
        for entry in entries:
            for change in entry.changes:
                for asked in self._resting_on.pop(change.key, ()):
                    self._forget(asked)

    def _authenticate(self, text: str, audiences: tuple[str, ...], claims: Claims, now: float) -> Authenticated:
        wanted = audiences or self._audiences
        meant_for = _strings(claims.get("aud")) or self._audiences
        common = tuple(audience for audience in meant_for if audience in wanted)
        if not common and self._audiences:
            raise Unauthenticated(
                f"token audiences {_go_list(meant_for)} is invalid for the target audiences {_go_list(wanted)}"
            )
        user = self._legacy_user(text, claims) if claims.get("iss") == LEGACY_ISSUER else self._user(claims, now)
        return in_everybody(Authenticated(user, common))

    def _remember(self, asked: _Asked, found: Authenticated, claims: Claims, now: float) -> None:
        """Unless an object is about to go, which lets its tokens end by the clock, or somebody else's audiences are asked."""
        if asked[1] not in ((), self._audiences):
            return
        if any("deletionTimestamp" in each["metadata"] for each in self._looked_up.values() if each is not None):
            return
        self._forget(asked)
        if len(self._known) >= self._remembered_max:
            self._forget(next(iter(self._known)))
        expires = claims.get("exp")
        until = expires if isinstance(expires, (int, float)) and expires > now else now + self._remembered_s
        self._known[asked] = _Known(min(until, now + self._remembered_s), found, tuple(self._looked_up))
        for key in self._looked_up:
            self._resting_on.setdefault(key, set()).add(asked)

    def _forget(self, asked: _Asked) -> None:
        known = self._known.pop(asked, None)
        for key in known.rests_on if known is not None else ():
            resting = self._resting_on.get(key)
            if resting is not None:
                resting.discard(asked)
                if not resting:
                    del self._resting_on[key]

    def _look_up(self, key: Key) -> Object | None:
        found = self._looked_up[key] = self._lookup(key)
        return found

    def _claims(self, digest: bytes, text: str, now: float) -> Claims | None:
        known = self._verified.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        token = parse_token(text)
        if token is None or token.claims.get("iss") not in (*self._issuers, LEGACY_ISSUER):
            return None
        try:
            claims = token.verified_by(self._keys)
        except BadToken as error:
            raise Unauthenticated(str(error)) from None
        self._verified[digest] = (now + self._remembered_s, claims)
        self._verified.move_to_end(digest)
        if len(self._verified) > self._remembered_max:
            self._verified.popitem(last=False)
        return claims

    def _user(self, claims: Claims, now: float) -> User:
        _check_times(claims, now)
        private = _dict(claims.get("kubernetes.io"))
        namespace = str(private.get("namespace", ""))
        account = self._account(namespace, _dict(private.get("serviceaccount")), now)
        extra: dict[str, tuple[str, ...]] = {}
        secret, pod, node = (private.get(kind) for kind in ("secret", "pod", "node"))
        if secret is not None:
            self._require(Key("", "secrets", namespace, _name(secret)), secret, "Secret", now)
        if pod is not None:
            self._require(Key("", "pods", namespace, _name(pod)), pod, "Pod", now)
            extra |= {f"{_EXTRA}pod-name": (_name(pod),), f"{_EXTRA}pod-uid": (_uid(pod),)}
        elif node is not None:
            self._require(Key("", "nodes", "", _name(node)), node, "Node", now)
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        if node is not None and _name(node):
            extra[f"{_EXTRA}node-name"] = (_name(node),)
            if _uid(node):
                extra[f"{_EXTRA}node-uid"] = (_uid(node),)
        return _service_account(namespace, account["metadata"], extra)

    def _account(self, namespace: str, reference: dict[str, Any], now: float) -> Object:
        name = _name(reference)
        account = self._look_up(Key("", "serviceaccounts", namespace, name))
        if account is None:
            raise Unauthenticated(f"serviceaccounts {quoted(name)} not found")
        uid = account["metadata"].get("uid", "")
        if uid != _uid(reference):
            raise Unauthenticated(f"service account UID ({uid}) does not match claim ({_uid(reference)})")
        if _deleted_before(account, now - _LEEWAY_S):
            raise Unauthenticated(f"service account {namespace}/{name} has been deleted")
        return account

    def _require(self, key: Key, reference: Any, kind: str, now: float) -> None:
        """What a token is bound to must be there still, and be the one it was."""
        found = self._look_up(key)
        if found is None or _deleted_before(found, now - _LEEWAY_S):
            raise Unauthenticated(_INVALIDATED)
        uid = found["metadata"].get("uid", "")
        if uid != _uid(reference):
            claim = f"service account {kind.lower()} ref claim ({_uid(reference)})"
            raise Unauthenticated(f"{kind.lower()} UID ({uid}) does not match {claim}")

    def _legacy_user(self, text: str, claims: Claims) -> User:
        """A token that lies in a Secret is good as long as it lies there."""
        namespace, secret_name, name, uid = (
            str(claims.get(f"{_LEGACY}{claim}", ""))
            for claim in ("namespace", "secret.name", "service-account.name", "service-account.uid")
        )
        for claim, value in (
            ("sub", claims.get("sub")),
            ("namespace", namespace),
            ("secretName", secret_name),
            ("serviceAccountName", name),
            ("serviceAccountUID", uid),
        ):
            if not value:
                raise Unauthenticated(f"{claim} claim is missing")
        if split_service_account(str(claims["sub"])) != (namespace, name):
            raise Unauthenticated("sub claim is invalid")
        secret = self._look_up(Key("", "secrets", namespace, secret_name))
        if secret is None or "deletionTimestamp" in secret["metadata"]:
            raise Unauthenticated("Token has been invalidated")
        kept = base64.b64decode(_dict(secret.get("data")).get("token", ""))
        if not hmac.compare_digest(kept, text.encode()):
            raise Unauthenticated("Token does not match server's copy")
        account = self._look_up(Key("", "serviceaccounts", namespace, name))
        if account is None:
            raise Unauthenticated(f"serviceaccounts {quoted(name)} not found")
        if "deletionTimestamp" in account["metadata"]:
            raise Unauthenticated(f"ServiceAccount {namespace}/{name} has been deleted")
        if account["metadata"].get("uid") != uid:
            raise Unauthenticated(f"ServiceAccount UID ({account['metadata'].get('uid')}) does not match claim ({uid})")
        return _service_account(namespace, account["metadata"], {})


def _service_account(namespace: str, metadata: dict[str, Any], extra: dict[str, tuple[str, ...]]) -> User:
    name = metadata["name"]
    return User(
        service_account_username(namespace, name), metadata.get("uid", ""), service_account_groups(namespace), extra
    )


def _check_times(claims: Claims, now: float) -> None:
    for claim, wrong, why in (
        ("nbf", lambda time: now + _LEEWAY_S < time, "service account token is not valid yet"),
        ("exp", lambda time: now - _LEEWAY_S > time, "service account token has expired"),
        ("iat", lambda time: now + _LEEWAY_S < time, "service account token is issued in the future"),
    ):
        value = claims.get(claim)
        if isinstance(value, (int, float)) and wrong(value):
            raise Unauthenticated(why)


def _deleted_before(found: Object, moment: float) -> bool:
    deleted = found["metadata"].get("deletionTimestamp")
    if not deleted:
        return False
    return datetime.strptime(deleted, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() < moment


def _strings(value: Any) -> tuple[str, ...]:
    """A claim that is a string or a list of them."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(reference: Any) -> str:
    return str(_dict(reference).get("name", ""))


def _uid(reference: Any) -> str:
    return str(_dict(reference).get("uid", ""))


def _go_list(values: tuple[str, ...]) -> str:
    return f"[{' '.join(map(quoted, values))}]"
