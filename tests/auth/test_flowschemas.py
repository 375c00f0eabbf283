"""Which FlowSchema takes a request."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key
from ledger.auth.flowschemas import GROUP, FlowSchemas
from ledger.pipeline.requestinfo import request_info
from tests.pipeline.requests import request_for

ALL = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
ALL_URLS = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def schemas(*specs: tuple[str, int, dict[str, Any], dict[str, Any]], level: str = "level") -> FlowSchemas:
    made = FlowSchemas()
    made.apply(Key(GROUP, "prioritylevelconfigurations", "", "level"), {"metadata": {"uid": "level-uid"}})
    for name, precedence, subject, rules in specs:
        spec = {"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": level}}
        rule = {"subjects": [subject], **rules}
        made.apply(Key(GROUP, "flowschemas", "", name), {"metadata": {"uid": name}, "spec": spec | {"rules": [rule]}})
    return made


def flow(made: FlowSchemas, line: str, user: User) -> str:
    request = request_for(line, user)
    request.info = request_info(request.method, request.raw_path, request.query)
    found = made.flow_of(request)
    return found.schema if found else ""


EVERYBODY = {"kind": "Group", "group": {"name": "*"}}


@pytest.mark.parametrize("subject, user, taken", [
    ({"kind": "User", "user": {"name": "bob"}},                                          User("bob"), True),
    ({"kind": "User", "user": {"name": "*"}},                                            User("bob"), True),
    ({"kind": "User", "user": {"name": "eve"}},                                          User("bob"), False),
    ({"kind": "Group", "group": {"name": "devs"}},                                       User("bob", groups=("devs",)), True),
    ({"kind": "Group", "group": {"name": "devs"}},                                       User("bob"), False),
    ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "ns", "name": "*"}},     User("system:serviceaccount:ns:a"), True),
    ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "n", "name": "*"}},      User("system:serviceaccount:ns:a"), False),
    ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "ns", "name": "a"}},     User("system:serviceaccount:ns:a"), True),
    ({"kind": "Robot"},                                                                  User("bob"), False),
])  # fmt: skip
def test_whom_a_schema_takes(subject: dict[str, Any], user: User, taken: bool) -> None:
    made = schemas(("s", 1, subject, {"resourceRules": [ALL]}))
    assert flow(made, "GET /api/v1/pods", user) == ("s" if taken else "")


@pytest.mark.parametrize("rules, line, taken", [
    ({"resourceRules": [ALL]},                                          "GET /api/v1/pods",                    True),
    ({"resourceRules": [ALL]},                                          "GET /healthz",                        False),
    ({"nonResourceRules": [ALL_URLS]},                                  "GET /healthz",                        True),
    ({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]}, "GET /healthz/log",          True),
    ({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]}, "GET /healthzy",             False),
    ({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]}, "POST /healthz",             False),
    ({"resourceRules": [ALL | {"clusterScope": False}]},                "GET /api/v1/pods",                    False),
    ({"resourceRules": [ALL | {"namespaces": []}]},                     "GET /api/v1/namespaces/ns/pods",      False),
    ({"resourceRules": [ALL | {"namespaces": ["ns"]}]},                 "GET /api/v1/namespaces/ns/pods",      True),
    ({"resourceRules": [ALL | {"resources": ["pods"]}]},                "GET /api/v1/namespaces/ns/pods/a/log", False),
    ({"resourceRules": [ALL | {"resources": ["pods/log"]}]},            "GET /api/v1/namespaces/ns/pods/a/log", True),
    ({"resourceRules": [ALL | {"apiGroups": ["apps"]}]},                "GET /api/v1/pods",                    False),
])  # fmt: skip
def test_what_a_schema_takes(rules: dict[str, Any], line: str, taken: bool) -> None:
    assert flow(schemas(("s", 1, EVERYBODY, rules)), line, User("bob")) == ("s" if taken else "")


def test_the_lowest_precedence_wins_then_the_first_name_and_changes_count_at_once() -> None:
    rules = {"resourceRules": [ALL]}
    made = schemas(("c", 9, EVERYBODY, rules), ("b", 5, EVERYBODY, rules), ("a", 5, EVERYBODY, rules))
    for gone, expected in (("", "a"), ("a", "b"), ("b", "c"), ("c", "")):
        made.apply(Key(GROUP, "flowschemas", "", gone), None)
        assert flow(made, "GET /api/v1/pods", User("bob")) == expected


def test_a_schema_without_its_level_takes_nothing() -> None:
    made = schemas(("s", 1, EVERYBODY, {"resourceRules": [ALL]}), level="gone")
    assert flow(made, "GET /api/v1/pods", User("bob")) == ""
