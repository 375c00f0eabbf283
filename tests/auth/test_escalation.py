"""Nobody hands out more than they have."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

import pytest

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Key, Object
from ledger.apimachinery.status import StatusError
from ledger.auth.escalation import forbid_escalation
from ledger.auth.rbac import GROUP
from tests.auth.test_rbac import binding, rbac, role, rule

BOT = User("bot", groups=("system:authenticated",))
HOLDS = rule("get list", "configmaps")


def write(resource: str, new: Object, *held: tuple[Key, Object], user: User = BOT, old: Object | None = None) -> None:
    namespace = "" if resource.startswith("cluster") else "ns"
    authorizer = rbac(role("held", HOLDS), binding("held", "ClusterRole:held", "User:bot"), *held)
    name = "r" if old is not None else ""
    forbid_escalation(authorizer, authorizer.authorize, user, resource, namespace, name, new, old)


def a_role(*rules: Object, **more: object) -> Object:
    return {"metadata": {"name": "r"}, "rules": list(rules), **more}


def a_binding(role_name: str) -> Object:
    kind, _, name = role_name.partition(":")
    return {"metadata": {"name": "b"}, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name}}


def may(verb: str, resource: str, names: str = "") -> tuple[tuple[Key, Object], tuple[Key, Object]]:
    return role("may", rule(verb, resource, names, groups=GROUP)), binding("may", "ClusterRole:may", "User:bot")


AGGREGATES = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
OF_GC = {"metadata": {"name": "r", "finalizers": ["x"]}, "rules": [rule("*", "*")]}


@pytest.mark.parametrize("why, resource, new, held, old", [
    ("rules already held",          "roles",          a_role(rule("get", "configmaps")),    (), None),
    ("no rules",                    "roles",          a_role(),                             (), None),
    ("may escalate roles",          "roles",          a_role(rule("*", "*")),               may("escalate", "roles"), None),
    ("may escalate this role",      "clusterroles",   a_role(rule("*", "*")),               may("escalate", "clusterroles", "r"), a_role()),
    ("holds the role's rules",      "rolebindings",   a_binding("ClusterRole:held"),        (), None),
    ("may bind the role",           "rolebindings",   a_binding("ClusterRole:none"),        may("bind", "clusterroles", "none"), None),
    ("the garbage collector's own", "roles",          OF_GC,                                (), a_role(rule("*", "*"))),
])  # fmt: skip
def test_writing_is_fine_for_whoever(
    why: str, resource: str, new: Object, held: tuple[tuple[Key, Object], ...], old: Object | None
) -> None:
    write(resource, new, *held, old=old)


def test_superusers_hand_out_what_they_like() -> None:
    write("clusterroles", a_role(rule("*", "*"), **AGGREGATES), user=User("root", groups=("system:masters",)))


WHO = 'user "bot" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:'


@pytest.mark.parametrize("resource, new, message", [
    ("roles", a_role(rule("get create delete", "configmaps pods", groups=",apps")),
     f'roles.{GROUP} "r" is forbidden: {WHO}\n'
     '{APIGroups:[""], Resources:["configmaps"], Verbs:["create" "delete"]}\n'
     '{APIGroups:[""], Resources:["pods"], Verbs:["get" "create" "delete"]}\n'
     '{APIGroups:["apps"], Resources:["configmaps"], Verbs:["get" "create" "delete"]}\n'
     '{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "create" "delete"]}'),
    ("clusterroles", a_role(rule("get post", urls="/x /y*"), rule("get", "secrets", "a b")),
     f'clusterroles.{GROUP} "r" is forbidden: {WHO}\n'
     '{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}\n'
     '{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}\n'
     '{NonResourceURLs:["/x"], Verbs:["get"]}\n{NonResourceURLs:["/x"], Verbs:["post"]}\n'
     '{NonResourceURLs:["/y*"], Verbs:["get"]}\n{NonResourceURLs:["/y*"], Verbs:["post"]}'),
    ("clusterroles", a_role(**AGGREGATES),
     f'clusterroles.{GROUP} "r" is forbidden: must have cluster-admin privileges to use the aggregationRule'),
    ("rolebindings", a_binding("ClusterRole:none"), f'rolebindings.{GROUP} "none" not found'),
    ("rolebindings", a_binding("Nope:x"), 'unsupported role reference kind: "Nope"'),
])  # fmt: skip
def test_what_is_not_held_is_named(resource: str, new: Object, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        write(resource, new)
    assert refused.value.message == message


def test_roles_that_could_not_be_found_are_told_as_upstream_tells_them() -> None:
    with pytest.raises(StatusError) as refused:
        write("roles", a_role(rule("get", "pods")), binding("gone", "ClusterRole:gone", "User:bot"))
    assert refused.value.message.endswith(f'; resolution errors: [roles.{GROUP} "gone" not found]')


@pytest.mark.parametrize("own, asked, covered", [
    (rule("*", "*", groups="*"),          rule("get", "pods/log", groups="x"), True),
    (rule("get", "*/log"),                rule("get", "pods/log"),             True),
    (rule("get", "*/log"),                rule("get", "pods"),                 False),
    (rule("get", "pods"),                 rule("get", "pods", "a"),            True),
    (rule("get", "pods", "a"),            rule("get", "pods", "a"),            True),
    (rule("get", "pods", "a"),            rule("get", "pods"),                 False),
    (rule("get", "pods"),                 rule("*", "pods"),                   False),
    (rule("get", urls="/a/*"),            rule("get", urls="/a/b"),            True),
    (rule("get", urls="/a/*"),            rule("get", urls="/a/*"),            True),
    (rule("get", urls="/a/b"),            rule("get", urls="/a/*"),            False),
])  # fmt: skip
def test_which_rule_covers_which(own: Object, asked: Object, covered: bool) -> None:
    held = (role("own", own), binding("own", "ClusterRole:own", "User:bot"))
    if covered:
        write("clusterroles", a_role(asked), *held)
    else:
        with pytest.raises(StatusError):
            write("clusterroles", a_role(asked), *held)
