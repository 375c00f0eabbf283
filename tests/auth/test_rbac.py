"""RBAC: which rule lets whom do what, and how that reads."""

from __future__ import annotations

import orjson
import pytest

from ledger.apimachinery.http import RequestInfo, User
from ledger.apimachinery.resource import Key, Object
from ledger.auth.api import Decision
from ledger.auth.authorizers import authorizer
from ledger.auth.rbac import GROUP, Rbac
from ledger.log.api import Entry
from ledger.log.event import Change, Event
from ledger.pipeline.requestinfo import request_info

BOB = User("bob", groups=("devs", "system:authenticated"))
BOT = User("system:serviceaccount:ns:bot", groups=("system:serviceaccounts", "system:serviceaccounts:ns"))


def rule(verbs: str, resources: str = "", names: str = "", urls: str = "", groups: str = "") -> Object:
    found = {"verbs": verbs.split(), "resources": resources.split(), "resourceNames": names.split()}
    return {**found, "nonResourceURLs": urls.split(), "apiGroups": groups.split(",")}


def role(place: str, *rules: Object) -> tuple[Key, Object]:
    namespace, _, name = place.rpartition("/")
    return Key(GROUP, "roles" if namespace else "clusterroles", namespace, name), {"rules": list(rules)}


def binding(place: str, role_name: str, *subjects: str) -> tuple[Key, Object]:
    """ "ns/name", "Role:r" or "ClusterRole:r", subjects like "User:bob" or "ServiceAccount:ns/bot"."""
    namespace, _, name = place.rpartition("/")
    kind, _, role = role_name.partition(":")
    resource = "rolebindings" if namespace else "clusterrolebindings"
    found = {"roleRef": {"kind": kind, "name": role}, "subjects": [subject(one) for one in subjects]}
    return Key(GROUP, resource, namespace, name), found


def subject(text: str) -> dict[str, str]:
    kind, _, name = text.partition(":")
    namespace, slash, account = name.partition("/")
    return {"kind": kind, "name": account, "namespace": namespace} if slash else {"kind": kind, "name": name}


def rbac(*objects: tuple[Key, Object]) -> Rbac:
    made = Rbac()
    made.load(objects)
    return made


def info(line: str) -> RequestInfo:
    method, path = line.split()
    path, _, query = path.partition("?")
    return request_info(method, path, query)


@pytest.mark.parametrize("given, line, allowed", [
    (rule("get list", "configmaps"),                "GET /api/v1/namespaces/ns/configmaps/a",              True),
    (rule("get list", "configmaps"),                "GET /api/v1/namespaces/ns/configmaps",                True),
    (rule("get list", "configmaps"),                "DELETE /api/v1/namespaces/ns/configmaps/a",           False),
    (rule("get list", "configmaps"),                "GET /api/v1/namespaces/ns/secrets/a",                 False),
    (rule("get", "configmaps"),                     "GET /apis/apps/v1/namespaces/ns/configmaps/a",        False),
    (rule("*", "*", groups="*"),                    "PATCH /apis/x.io/v1/namespaces/ns/things/a/status",   True),
    (rule("get", "pods"),                           "GET /api/v1/namespaces/ns/pods/a/log",                False),
    (rule("get", "pods/log"),                       "GET /api/v1/namespaces/ns/pods/a/log",                True),
    (rule("get", "pods/log"),                       "GET /api/v1/namespaces/ns/pods/a",                    False),
    (rule("get", "*/scale", groups="apps"),         "GET /apis/apps/v1/namespaces/ns/deployments/a/scale", True),
    (rule("get", "*/scale", groups="apps"),         "GET /apis/apps/v1/namespaces/ns/deployments/a",       False),
    (rule("get list create", "configmaps", "a"),    "GET /api/v1/namespaces/ns/configmaps/a",              True),
    (rule("get list create", "configmaps", "a"),    "GET /api/v1/namespaces/ns/configmaps/b",              False),
    (rule("get list create", "configmaps", "a"),    "GET /api/v1/namespaces/ns/configmaps",                False),
    (rule("get list create", "configmaps", "a"),    "POST /api/v1/namespaces/ns/configmaps",               False),
    (rule("list", "configmaps", "a"), "GET /api/v1/namespaces/ns/configmaps?fieldSelector=metadata.name=a", True),
    (rule("get", urls="/metrics /logs/*"),          "GET /metrics",                                        True),
    (rule("get", urls="/metrics /logs/*"),          "GET /logs/x/y",                                       True),
    (rule("get", urls="/metrics /logs/*"),          "GET /metrics/x",                                      False),
    (rule("get", urls="/metrics"),                  "POST /metrics",                                       False),
    (rule("*", "*", groups="*"),                    "GET /metrics",                                        False),
    (rule("*", urls="*"),                           "GET /anything",                                       True),
])  # fmt: skip
def test_what_a_rule_allows(given: Object, line: str, allowed: bool) -> None:
    authorizer = rbac(role("r", given), binding("b", "ClusterRole:r", "User:bob"))
    assert authorizer.authorize(BOB, info(line)).allowed is allowed


@pytest.mark.parametrize("bound, user, namespace, reason", [
    (binding("b", "ClusterRole:r", "User:bob"),               BOB, "ns",
     'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "bob"'),
    (binding("b", "ClusterRole:r", "User:eve", "Group:devs"), BOB, "other",
     'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to Group "devs"'),
    (binding("ns/b", "ClusterRole:r", "Group:devs"),          BOB, "ns",
     'RBAC: allowed by RoleBinding "b/ns" of ClusterRole "r" to Group "devs"'),
    (binding("ns/b", "Role:r", "Group:devs"),                 BOB, "ns",
     'RBAC: allowed by RoleBinding "b/ns" of Role "r" to Group "devs"'),
    (binding("ns/b", "Role:r", "ServiceAccount:bot"),         BOT, "ns",
     'RBAC: allowed by RoleBinding "b/ns" of Role "r" to ServiceAccount "bot/ns"'),
    (binding("b", "ClusterRole:r", "ServiceAccount:ns/bot"),  BOT, "x",
     'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to ServiceAccount "bot/ns"'),
    (binding("b", "ClusterRole:r", "ServiceAccount:bot"),     BOT, "ns", None),  # of which namespace?
    (binding("ns/b", "ClusterRole:r", "Group:devs"),          BOB, "other", None),
    (binding("ns/b", "ClusterRole:r", "Group:devs"),          BOB, "", None),
    (binding("b", "ClusterRole:r", "Robot:bob"),              BOB, "ns", None),
])  # fmt: skip
def test_whom_a_binding_binds_and_how_that_reads(
    bound: tuple[Key, Object], user: User, namespace: str, reason: str | None
) -> None:
    authorizer = rbac(role("r", rule("list", "pods")), role("ns/r", rule("list", "pods")), bound)
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
    assert authorizer.authorize(user, info(f"GET {path}")) == Decision(reason is not None, reason or "")


def test_a_refusal_names_the_roles_that_are_missing() -> None:
    missing = rbac(binding("ns/b", "Role:reader", "User:bob"), binding("c", "ClusterRole:gone", "User:bob"))
    decision = missing.authorize(BOB, info("GET /api/v1/namespaces/ns/configmaps"))
    first = f'clusterrole.{GROUP} "gone" not found'
    assert decision == Decision(False, f'RBAC: [{first}, role.{GROUP} "reader" not found]')


def test_a_cluster_binding_cannot_reach_a_role_of_a_namespace() -> None:
    authorizer = rbac(role("r", rule("*", "*")), binding("b", "Role:r", "User:bob"))
    assert not authorizer.authorize(BOB, info("GET /api/v1/pods")).allowed


def test_what_is_remembered_ends_with_the_commit_that_changes_it() -> None:
    authorizer, asked = rbac(), info("GET /api/v1/namespaces/ns/pods")
    steps = [
        (role("ns/r", rule("list", "pods")), False),
        (binding("ns/b", "Role:r", "User:bob"), True),
        ((binding("ns/b", "Role:r", "User:eve")), False),
        ((binding("ns/b", "Role:r", "User:bob")), True),
        ((Key(GROUP, "roles", "ns", "r"), None), False),
        (role("ns/r", rule("list", "pods")), True),
        ((Key(GROUP, "rolebindings", "ns", "b"), None), False),
    ]
    for (key, found), allowed in steps:
        body = None if found is None else orjson.dumps(found)
        authorizer.follow(
            [Entry(Event("", 0, 0, "", "", BOB, 200), (Change(key, body), Change(Key("", "pods", "", ""), b"x")))]
        )
        assert authorizer.authorize(BOB, asked).allowed is allowed


def test_superusers_need_no_role_and_a_refusal_names_its_authorizer() -> None:
    authorize = authorizer([("rbac", rbac(binding("b", "ClusterRole:gone", "User:bob")).authorize)])
    assert authorize(User("root", groups=("system:masters",)), info("DELETE /api/v1/nodes")) == Decision(True)
    expected = f'rbac: RBAC: clusterrole.{GROUP} "gone" not found'
    assert authorize(BOB, info("GET /api/v1/nodes")) == Decision(False, expected)
