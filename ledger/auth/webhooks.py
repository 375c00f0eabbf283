"""TokenReview and SubjectAccessReview webhooks: somebody else says whose a token is, and who may do what.

Follows plugin/pkg/authenticator/token/webhook and plugin/pkg/authorizer/webhook of k8s.io/apiserver, its caches included:
answers are kept for a time, failures for a moment only, so that one request does not ask twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson
import trio

from ledger.apimachinery.http import RequestInfo, User
from ledger.apimachinery.resource import GVK, Object
from ledger.apimachinery.status import StatusError
from ledger.auth.api import Authenticated, Decision, Unauthenticated
from ledger.auth.pending import Pending
from ledger.outbound import answers
from ledger.outbound.client import Client, Timeout
from ledger.outbound.endpoint import Endpoint, Misconfigured, decoded, url_endpoint
from ledger.outbound.refusal import CallFailed
from ledger.scheme.reviews import Undecodable, decode_review

KEPT_MAX = 8192
FAILURE_KEPT_S = 1.0
KEY_BYTES_MAX = 10_000  # a longer question is not remembered beyond its request
RETRIES, FIRST_DELAY_S, DELAY_FACTOR = 4, 0.5, 1.5
TIMEOUT = Timeout(30.0, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)", 30)
_RETRIED = (429, 500, 504)

T = TypeVar("T")


class BadWebhookConfig(ValueError):
    """A kubeconfig that names no webhook; the text is one line for a person."""


def read_endpoint(path: Path) -> Endpoint:
    """Where a kubeconfig's current context leads. Raises BadWebhookConfig, OSError."""
    import yaml

    try:
        config = yaml.safe_load(path.read_bytes())
        contexts = {one["name"]: one["context"] for one in config.get("contexts") or ()}
        context = contexts[config["current-context"]]
        cluster = {one["name"]: one["cluster"] for one in config["clusters"]}[context["cluster"]]
        user = {one["name"]: one.get("user") or {} for one in config.get("users") or ()}.get(context.get("user"), {})
        ca = decoded(cluster.get("certificate-authority-data") or "")
        if cluster.get("certificate-authority"):
            ca = _beside(path, cluster["certificate-authority"]).read_bytes()
        token = user.get("token") or ""
        if user.get("tokenFile"):
            token = _beside(path, user["tokenFile"]).read_text().strip()
        if "client-certificate-data" in user or "client-key-data" in user:
            raise BadWebhookConfig(f"{path}: name the client certificate and key as files")
        files = [str(_beside(path, user[one])) if user.get(one) else "" for one in ("client-certificate", "client-key")]
        return url_endpoint(
            cluster["server"],
            ca,
            verify=not cluster.get("insecure-skip-tls-verify"),
            token=token,
            certificate_file=files[0],
            key_file=files[1],
        )
    except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise BadWebhookConfig(f"{path} is no kubeconfig with a current context: {error}") from None
    except Misconfigured as error:
        raise BadWebhookConfig(f"{path}: {error}") from None


def _beside(path: Path, name: str) -> Path:
    """A file named in a kubeconfig, relative to it."""
    return path.parent / name


class Kept(Generic[T]):
    """Answers by question, each until its time; the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        found = self._kept.get(key)
        return found[1] if found is not None and found[0] > trio.current_time() else None

    def put(self, key: Hashable, answer: T, seconds: float) -> None:
        self._kept[key] = (trio.current_time() + seconds, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)


class Webhook:
    """Sends reviews of one kind, and tries again where that may help."""

    def __init__(self, client: Client, endpoint: Endpoint, kind: GVK) -> None:
        self._client, self._endpoint, self.kind = client, endpoint, kind

    async def ask(self, spec: Object, status: Object) -> Object:
        """The status answered. Raises CallFailed, StatusError, Undecodable, ValueError."""
        review = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": {}, "spec": spec}
        body = orjson.dumps({**review, "status": status}) + b"\n"
        delay = FIRST_DELAY_S
        for attempt in range(RETRIES + 1):
            try:
                answer = await self._client.post(self._endpoint, body, TIMEOUT)
                answers.check(answer)
                found: Object = decode_review(answer.body, self.kind).get("status") or {}
                return found
            except (CallFailed, StatusError) as error:
                if attempt == RETRIES or not _may_pass(error):
                    raise
            await trio.sleep(delay)
            delay *= DELAY_FACTOR
        raise AssertionError("unreachable")


def _may_pass(error: CallFailed | StatusError) -> bool:
    """Whether an error is one that another attempt may not meet (webhook.DefaultShouldRetry)."""
    if isinstance(error, StatusError):
        return error.code in _RETRIED or bool((error.details or {}).get("retryAfterSeconds"))
    return "connection reset by peer" in str(error)


class TokenWebhook:
    """An AuthenticateToken: raises Pending for a token it has not asked about lately."""

    def __init__(self, webhook: Webhook, audiences: tuple[str, ...], ttl_s: float) -> None:
        self._webhook, self._audiences, self._ttl_s = webhook, audiences, ttl_s
        self._kept: Kept[Authenticated | Unauthenticated] = Kept()

    def __call__(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        key = (hashlib.sha256(token.encode()).digest(), audiences)
        found = self._kept.get(key)
        if found is None:
            raise Pending(partial(self._learn, key, token, audiences))
        if isinstance(found, Unauthenticated):
            raise found
        return found

    async def _learn(self, key: Hashable, token: str, audiences: tuple[str, ...]) -> None:
        spec: Object = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
        try:
            status = await self._webhook.ask(spec, {"user": {}})
        except (CallFailed, StatusError, Undecodable, ValueError) as error:
            self._kept.put(key, Unauthenticated(str(error)), FAILURE_KEPT_S)
            return
        ttl_s = FAILURE_KEPT_S if status.get("error") else max(self._ttl_s, FAILURE_KEPT_S)
        self._kept.put(key, self._judged(status, audiences), ttl_s)

    def _judged(self, status: Object, audiences: tuple[str, ...]) -> Authenticated | Unauthenticated:
        given = tuple(status.get("audiences") or self._audiences)
        good = tuple(one for one in audiences if one in given)
        if not status.get("authenticated") or (audiences and not good):
            return Unauthenticated(status.get("error") or "invalid bearer token")
        user = status.get("user") or {}
        extra: Mapping[str, list[str]] = user.get("extra") or {}
        return Authenticated(
            User(
                user.get("username", ""),
                user.get("uid", ""),
                tuple(user.get("groups") or ()),
                {name: tuple(values) for name, values in extra.items()},
            ),
            good,
        )


class AccessWebhook:
    """An Authorize: raises Pending for a question it has not asked lately."""

    def __init__(self, webhook: Webhook, allowed_ttl_s: float, other_ttl_s: float) -> None:
        self._webhook, self._allowed_ttl_s, self._other_ttl_s = webhook, allowed_ttl_s, other_ttl_s
        self._kept: Kept[Decision] = Kept()

    def __call__(self, user: User, asked: RequestInfo) -> Decision:
        spec = question(user, asked, self._webhook.kind.version)
        key = orjson.dumps(spec)
        found = self._kept.get(key)
        if found is None:
            raise Pending(self._learner(key, spec))
        return found

    def _learner(self, key: bytes, spec: Object) -> Callable[[], Awaitable[None]]:
        async def learn() -> None:
            try:
                status = await self._webhook.ask(spec, {"allowed": False})
            except (CallFailed, StatusError, Undecodable, ValueError) as error:
                self._kept.put(key, Decision(False, error=str(error)), FAILURE_KEPT_S)
                return
            ttl_s = self._allowed_ttl_s if status.get("allowed") else self._other_ttl_s
            self._kept.put(key, _decision(status), ttl_s if len(key) < KEY_BYTES_MAX else FAILURE_KEPT_S)

        return learn


def _decision(status: Object) -> Decision:
    reason = status.get("reason", "")
    if status.get("denied"):
        both = "webhook subject access review returned both allow and deny response" if status.get("allowed") else ""
        return Decision(False, reason, denied=True, error=both)
    return Decision(bool(status.get("allowed")), reason)


def question(user: User, asked: RequestInfo, version: str) -> Object:
    """The spec of the review. Its groups are called `group` in v1beta1."""
    groups = "groups" if version == "v1" else "group"
    about: dict[str, Any] = {"user": user.name, groups: list(user.groups), "uid": user.uid}
    extra = {name: list(values) for name, values in sorted(user.extra.items())}
    if not asked.is_resource:
        what: Object = {"nonResourceAttributes": _full({"path": asked.path, "verb": asked.verb})}
    else:
        parts = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
        what = {"resourceAttributes": _full({part: getattr(asked, part) for part in parts})}
    return {**what, **_full(about), **({"extra": extra} if extra else {})}


def _full(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
