"""Reviews: what is asked, what is answered, and what is refused as no question."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.http import RequestInfo, User
from ledger.apimachinery.status import StatusError
from ledger.auth.api import Authenticated, Decision, Unauthenticated
from ledger.auth.rbac import Rule, Rules, RulesError
from ledger.handlers.reviews import (
    local_subject_access_review,
    self_subject_access_review,
    self_subject_review,
    self_subject_rules_review,
    subject_access_review,
    token_review,
)

BOB = User("bob", "7", ("devs",), {"b": ("2",), "a": ("1",)})
PODS = {"verb": "get", "resource": "pods"}


def only_bob(user: User, asked: RequestInfo) -> Decision:
    return Decision(user.name == "bob", f"{asked.verb} {asked.resource or asked.path} {asked.namespace}".strip())


def sar(**spec: Any) -> dict[str, Any]:
    return {"kind": "K", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": spec}


@pytest.mark.parametrize("spec, status", [
    ({"user": "bob", "resourceAttributes": PODS}, {"allowed": True, "reason": "get pods"}),
    ({"user": "eve", "resourceAttributes": PODS | {"namespace": "ns"}}, {"allowed": False, "reason": "get pods ns"}),
    ({"user": "bob", "nonResourceAttributes": {"verb": "get", "path": "/x"}}, {"allowed": True, "reason": "get /x"}),
    ({"user": "bob", "resourceAttributes": PODS | {"labelSelector": {"requirements": [{"key": "a", "operator": "Foo"}]}}},
     {"allowed": True, "reason": "get pods", "evaluationError": "spec.resourceAttributes.labelSelector ignored due to parse error"}),
    ({"user": "bob", "resourceAttributes": PODS | {"fieldSelector": {"requirements": [
        {"key": "a", "operator": "In", "values": ["x"]}, {"key": "b", "operator": "Exists"}]}}},
     {"allowed": True, "reason": "get pods", "evaluationError": "spec.resourceAttributes.fieldSelector partially ignored due to parse error"}),
])  # fmt: skip
def test_a_question_is_answered_in_its_status(spec: dict[str, Any], status: dict[str, Any]) -> None:
    asked = sar(**spec) | {"status": {"allowed": True, "denied": True}}
    answered = subject_access_review(asked, only_bob)
    assert answered == sar(**spec) | {"status": status}
    assert list(answered) == ["kind", "apiVersion", "metadata", "spec", "status"]


ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


@pytest.mark.parametrize("spec, message", [
    ({"user": "bob"}, f"spec: Invalid value: null: {ONE_OF}"),
    ({"user": "bob", "resourceAttributes": PODS, "nonResourceAttributes": {"path": "/x"}},
     f'spec: Invalid value: {{"Path":"/x","Verb":""}}: {ONE_OF}'),
    ({"resourceAttributes": PODS}, 'spec.user: Invalid value: "": at least one of user or group must be specified'),
    ({"user": "x", "resourceAttributes": {"fieldSelector": {}, "labelSelector": {"rawSelector": "a", "requirements": [
        {"key": "a", "operator": "Exists"}]}}},
     "[spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is "
     "specified, requirements or rawSelector is required, spec.resourceAttributes.labelSelector.rawSelector: Invalid "
     'value: "a": may not specified at the same time as requirements]'),
])  # fmt: skip
def test_what_asks_nothing_is_refused_without_naming_a_kind(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as refused:
        subject_access_review(sar(**spec), only_bob)
    assert refused.value.message == f'.authorization.k8s.io "" is invalid: {message}'
    assert refused.value.details is not None
    assert sorted(refused.value.details) == ["causes", "group"]


def test_a_review_has_no_name() -> None:
    with pytest.raises(StatusError, match=r"metadata: Invalid value: .* must be empty"):
        self_subject_access_review(sar(resourceAttributes=PODS) | {"metadata": {"name": "x"}}, BOB, only_bob)


def test_a_local_review_stays_in_its_namespace() -> None:
    here = {"metadata": {"namespace": "ns"}}
    spec = {"user": "bob", "resourceAttributes": PODS | {"namespace": "ns"}}
    assert local_subject_access_review(sar(**spec) | here, "ns", only_bob)["status"]["allowed"]
    for other, message in (
        ({"resourceAttributes": PODS}, 'namespace: Invalid value: "": must match metadata.namespace'),
        ({"nonResourceAttributes": {"path": "/x", "verb": "get"}}, "disallowed on this kind of request"),
    ):
        with pytest.raises(StatusError, match=message):
            local_subject_access_review(sar(user="bob", **other) | here, "ns", only_bob)


def test_whoever_asks_is_told_who_they_are() -> None:
    answered = self_subject_review({"kind": "SelfSubjectReview", "metadata": {"name": "x"}}, BOB, 1_795_470_000_000_000)
    assert answered["metadata"] == {"creationTimestamp": "2026-11-23T21:40:00Z"}
    info = {"username": "bob", "uid": "7", "groups": ["devs"], "extra": {"a": ["1"], "b": ["2"]}}
    assert answered["status"] == {"userInfo": info}
    assert list(answered["status"]["userInfo"]["extra"]) == ["a", "b"]


def test_whoever_asks_is_told_what_they_may() -> None:
    rules = [Rule(("get",), ("",), ("pods",), ("a",)), Rule(("*",), urls=("*",))]

    def rules_for(user: User, namespace: str) -> Rules:
        return Rules(rules, [RulesError("gone"), RulesError("too")])

    answered = self_subject_rules_review(sar(namespace="ns"), BOB, rules_for)
    assert answered["spec"] == {}
    assert answered["status"] == {
        "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
        "evaluationError": "[gone, too]",
    }
    with pytest.raises(StatusError, match="no namespace on request"):
        self_subject_rules_review(sar(), BOB, rules_for)


class TestTokenReview:
    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        if token != "good":
            raise Unauthenticated(token)
        return Authenticated(BOB, tuple(audience for audience in audiences if audience != "x"))

    def review(self, **spec: Any) -> Any:
        return token_review(sar(**spec), self.authenticate, ("here",))["status"]

    def test_a_good_token_has_a_user_and_audiences(self) -> None:
        status = self.review(token="good")
        assert (status["authenticated"], status["user"]["username"], status["audiences"]) == (True, "bob", ["here"])
        assert self.review(token="good", audiences=["x", "y"])["audiences"] == ["y"]

    @pytest.mark.parametrize("token, error", [
        ("invalid bearer token", "invalid bearer token"),
        ('serviceaccounts "bot" not found', '[invalid bearer token, serviceaccounts "bot" not found]'),
    ])  # fmt: skip
    def test_a_bad_token_is_an_answer(self, token: str, error: str) -> None:
        assert self.review(token=token) == {"user": {}, "error": error}

    def test_no_token_is_no_question(self) -> None:
        with pytest.raises(StatusError, match="token is required for TokenReview in authentication"):
            self.review()
