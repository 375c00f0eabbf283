"""Whose a token is and who may do what, when webhooks say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.served import Served
from tests.webhook_server import Object, WebhookServer

SAR = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"


def status_of(version: str, kind: str, judge: Callable[[Object], Any]) -> Callable[[Object], Any]:
    """A webhook's answer: the review with a status."""

    def answer(review: Object) -> Any:
        status = judge(review["spec"])
        if isinstance(status, tuple):
            return status
        whole = {"kind": kind, "apiVersion": version, "status": status}
        return 200, yaml.safe_dump(whole).encode()  # the decoder takes YAML as well

    return answer


def whose(spec: Object) -> Any:
    if spec["token"] == "outage":
        return 503, b"no"
    if spec["token"] == "bad":
        return {"authenticated": False, "error": "go away"}
    user = {"username": spec["token"], "uid": "u", "groups": ["devs"], "extra": {"scopes": ["a", "b"]}}
    return {"authenticated": True, "user": user}


def may(spec: Object) -> Any:
    asked = spec.get("resourceAttributes") or spec["nonResourceAttributes"]
    if spec["user"] == "broken":
        return 400, b"no"
    if spec["user"] == "ada":
        return {"allowed": True, "reason": "she is the first"}
    if spec["user"] == "eve":
        return {"allowed": False, "denied": True, "reason": "not her"}
    return {"allowed": asked.get("resource") == "pods"}


@pytest.fixture(scope="module")
def webhooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, WebhookServer]]:
    directory = tmp_path_factory.mktemp("webhooks")
    with WebhookServer(directory / "hook") as hook:
        hook.answers["/token"] = status_of("authentication.k8s.io/v1", "TokenReview", whose)
        hook.answers["/access"] = status_of("authorization.k8s.io/v1", "SubjectAccessReview", may)
        (directory / "hook-ca.crt").write_bytes(hook.ca)
        for path in ("token", "access"):
            cluster = {"server": f"https://127.0.0.1:{hook.port}/{path}", "certificate-authority": "hook-ca.crt"}
            config = {
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": "secret"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
            (directory / f"{path}.yaml").write_text(yaml.safe_dump(config))
        flags = [
            *("--authentication-token-webhook-config-file", str(directory / "token.yaml")),
            *("--authentication-token-webhook-version", "v1", "--authorization-mode", "Webhook,RBAC"),
            *("--authorization-webhook-config-file", str(directory / "access.yaml")),
            *("--authorization-webhook-version", "v1", "--controllers", "none"),
        ]
        with Served(directory / "data", *flags) as served:
            yield served, hook


def as_user(served: Served, name: str, line: str, body: Any = None) -> tuple[int, Any]:
    return served.ask(line, body, admin=False, authorization=f"Bearer {name}")


@pytest.mark.parametrize("user, line, code, message", [
    ("ada", "GET /api/v1/nodes", 200, ""),
    ("bob", "GET /api/v1/pods", 200, ""),
    ("bob", "GET /api/v1/nodes", 403, 'nodes is forbidden: User "bob" cannot list resource "nodes"'),
    ("bob", "GET /version", 200, ""),
    ("eve", "GET /api/v1/pods", 403, 'cannot list resource "pods" in API group "" at the cluster scope: not her'),
    ("eve", "GET /version", 403, 'forbidden: User "eve" cannot get path "/version": not her'),
    ("broken", "GET /api/v1/pods", 500, 'Internal Server Error: "/api/v1/pods": the server rejected our request'),
    ("bad", "GET /api/v1/pods", 401, "Unauthorized"),
    ("outage", "GET /api/v1/pods", 401, "Unauthorized"),
])  # fmt: skip
def test_who_may_do_what(user: str, line: str, code: int, message: str, webhooks: tuple[Served, WebhookServer]) -> None:
    status, found = as_user(webhooks[0], user, line)
    assert status == code
    assert message in (found if isinstance(found, str) else found.get("message", ""))


def test_what_the_webhooks_are_asked(webhooks: tuple[Served, WebhookServer]) -> None:
    served, hook = webhooks
    hook.asked.clear()
    as_user(served, "carol", "GET /api/v1/namespaces/default/pods/web/log")
    reviews = [(path, review["spec"]) for path, review in hook.asked]
    assert reviews == [
        ("/token?timeout=30s", {"token": "carol", "audiences": ["https://kubernetes.default.svc"]}),
        ("/access?timeout=30s", {
            "resourceAttributes": {"namespace": "default", "verb": "get", "version": "v1", "resource": "pods",
                                   "subresource": "log", "name": "web"},
            "user": "carol", "groups": ["devs", "system:authenticated"], "uid": "u", "extra": {"scopes": ["a", "b"]},
        }),
    ]  # fmt: skip


def test_answers_are_kept(webhooks: tuple[Served, WebhookServer]) -> None:
    served, hook = webhooks
    as_user(served, "dora", "GET /api/v1/pods")
    hook.asked.clear()
    as_user(served, "dora", "GET /api/v1/pods")
    as_user(served, "dora", "GET /api/v1/pods")
    assert hook.asked == []


def test_reviews_ask_the_webhooks_too(webhooks: tuple[Served, WebhookServer]) -> None:
    served, _ = webhooks
    spec = {"user": "eve", "resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": "default"}}
    asked = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    status, found = served.ask(f"POST {SAR}", asked)
    assert (status, found["status"]) == (201, {"allowed": False, "reason": "not her", "denied": True})
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "frank"}}
    status, found = served.ask(f"POST {REVIEW}", review)
    assert (status, found["status"]["authenticated"], found["status"]["user"]["username"]) == (201, True, "frank")


def test_impersonation_asks_the_webhook(webhooks: tuple[Served, WebhookServer]) -> None:
    served, _ = webhooks
    for user, code in (("ada", 200), ("bob", 403)):
        line, more = "GET /api/v1/nodes", {"authorization": f"Bearer {user}", "impersonate_user": "ada"}
        assert served.ask(line, admin=False, **more)[0] == code
