"""Speaking for somebody else, in the five ways that Kubernetes allows."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

import orjson
import pytest
import trio

from ledger.apimachinery.http import Request, RequestInfo, Response, User
from ledger.auth.api import Authenticated, Decision
from ledger.log.event import Event
from tests.pipeline.requests import chain_around, header, request_for

BOT = User("system:serviceaccount:ns:bot", groups=("system:authenticated",))
ON_NODE = User(BOT.name, extra={"authentication.kubernetes.io/node-name": ("n",)})


def spell(asked: RequestInfo) -> str:
    if not asked.is_resource:
        return f"{asked.verb} {asked.path}"
    resource = asked.resource + (f"/{asked.subresource}" if asked.subresource else "")
    place = f" {asked.namespace}" if asked.namespace else ""
    return f"{asked.verb} {resource} {asked.name}".rstrip() + place


def impersonate(
    allowed: list[str], requestor: User = BOT, line: str = "GET /api/v1/namespaces/ns/configmaps", **headers: str
) -> tuple[Response, list[User], list[Event]]:
    """`allowed`: what the requestor may, as `spell` spells it; everybody else may everything."""
    seen: list[User] = []
    events: list[Event] = []

    async def handler(request: Request) -> Response:
        assert request.user is not None
        assert not any(name.startswith("impersonate-") for name, _ in request.headers)
        seen.append(request.user)
        return Response()

    def authorize(user: User, asked: RequestInfo) -> Decision:
        return Decision(user is not requestor or spell(asked) in allowed)

    chain = chain_around(handler, events, authenticate=lambda _: Authenticated(requestor), authorize=authorize)
    request = request_for(line, **{f"impersonate_{name}": value for name, value in headers.items()})
    return trio.run(chain, request), seen, events


AS_BOB = "impersonate users bob"
EVERYBODY = ("system:authenticated",)


@pytest.mark.parametrize("allowed, headers, user", [
    (["impersonate users bob"], {"user": "bob"}, User("bob", groups=EVERYBODY)),
    (["impersonate users bob", "impersonate groups a"], {"user": "bob", "group": "a"}, User("bob", groups=("a", *EVERYBODY))),
    (["impersonate users bob", "impersonate uids 7"], {"user": "bob", "uid": "7"}, User("bob", "7", EVERYBODY)),
    (["impersonate users bob", "impersonate userextras/x.io/scopes y"], {"user": "bob", "extra_x.io%2fscopes": "y"},
     User("bob", groups=EVERYBODY, extra={"x.io/scopes": ("y",)})),
    (["impersonate serviceaccounts a x"], {"user": "system:serviceaccount:x:a"},
     User("system:serviceaccount:x:a", groups=("system:serviceaccounts", "system:serviceaccounts:x", *EVERYBODY))),
    (["impersonate users system:anonymous"], {"user": "system:anonymous"}, User("system:anonymous", groups=("system:unauthenticated",))),
    # constrained: on this request, and for that user
    (["impersonate-on:user-info:list configmaps ns", "impersonate:user-info users bob"], {"user": "bob"}, User("bob", groups=EVERYBODY)),
    (["impersonate-on:serviceaccount:list configmaps ns", "impersonate:serviceaccount serviceaccounts a x"],
     {"user": "system:serviceaccount:x:a"},
     User("system:serviceaccount:x:a", groups=("system:serviceaccounts", "system:serviceaccounts:x", *EVERYBODY))),
    (["impersonate-on:arbitrary-node:list configmaps ns", "impersonate:arbitrary-node nodes n"], {"user": "system:node:n"},
     User("system:node:n", groups=("system:nodes", *EVERYBODY))),
])  # fmt: skip
def test_who_may_speak_for_whom(allowed: list[str], headers: dict[str, str], user: User) -> None:
    response, seen, events = impersonate(allowed, **headers)
    assert (response.status, seen) == (200, [user])
    assert (events[0].user, events[0].impersonated) == (BOT, user)


def test_a_pod_may_speak_for_the_node_it_runs_on_whichever_that_is() -> None:
    allowed = ["impersonate-on:associated-node:list configmaps ns", "impersonate:associated-node nodes *"]
    _, seen, _ = impersonate(allowed, ON_NODE, user="system:node:n")
    assert [user.name for user in seen] == ["system:node:n"]
    assert impersonate(allowed, ON_NODE, user="system:node:other")[0].status == 403


ON_USER_INFO = "impersonate-on:user-info:list configmaps ns"


@pytest.mark.parametrize("allowed, headers, message", [
    ([], {"user": "bob"}, 'configmaps is forbidden: User "{bot}" cannot impersonate-on:user-info:list resource "configmaps" in API group "" in the namespace "ns"'),
    ([], {"user": "system:serviceaccount:x:y"}, 'configmaps is forbidden: User "{bot}" cannot impersonate-on:serviceaccount:list resource "configmaps" in API group "" in the namespace "ns"'),
    ([], {"user": "system:node:n"}, 'configmaps is forbidden: User "{bot}" cannot impersonate-on:arbitrary-node:list resource "configmaps" in API group "" in the namespace "ns"'),
    ([ON_USER_INFO], {"user": "bob"}, 'users.authentication.k8s.io "bob" is forbidden: User "{bot}" cannot impersonate:user-info resource "users" in API group "authentication.k8s.io" at the cluster scope'),
    ([ON_USER_INFO, "impersonate:user-info users bob"], {"user": "bob", "group": "system:masters"}, 'groups.authentication.k8s.io "system:masters" is forbidden: User "{bot}" cannot impersonate:user-info resource "groups" in API group "authentication.k8s.io" at the cluster scope: impersonating the system:masters group is not allowed'),
])  # fmt: skip
def test_a_refusal_is_that_of_the_first_way_that_applies(
    allowed: list[str], headers: dict[str, str], message: str
) -> None:
    response, seen, events = impersonate(allowed, **headers)
    assert (response.status, seen) == (403, [])
    assert orjson.loads(response.body)["message"] == message.replace("{bot}", BOT.name)
    assert header(response, "x-content-type-options") == "nosniff"
    assert (events[0].user, events[0].impersonated) == (BOT, None)


def test_after_a_success_the_refusal_is_that_of_the_way_that_worked() -> None:
    def authorize(user: User, asked: RequestInfo) -> Decision:
        return Decision(user is not BOT or spell(asked) == AS_BOB)

    async def handler(request: Request) -> Response:
        return Response()

    chain = chain_around(handler, [], authenticate=lambda _: Authenticated(BOT), authorize=authorize)

    async def both() -> Response:
        assert (await chain(request_for("GET /version", impersonate_user="bob"))).status == 200
        return await chain(request_for("GET /version", impersonate_user="bob", impersonate_group="devs"))

    message = orjson.loads(trio.run(both).body)["message"]
    assert message == (
        f'groups "devs" is forbidden: User "{BOT.name}" cannot impersonate resource "groups" in API group "" '
        "at the cluster scope"
    )


@pytest.mark.parametrize("headers, shown", [
    ({"group": "x"}, 'Name:"", UID:"", Groups:[]string{"x"}, Extra:map[string][]string(nil)'),
    ({"uid": "7"}, 'Name:"", UID:"7", Groups:[]string(nil), Extra:map[string][]string(nil)'),
    ({"extra_a": "b"}, 'Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"b"}}'),
])  # fmt: skip
def test_a_group_without_a_user_is_no_request(headers: dict[str, str], shown: str) -> None:
    response, _, _ = impersonate([], **headers)
    assert response.status == 400
    message = f"requested &user.DefaultInfo{{{shown}}} without impersonating a user name"
    assert orjson.loads(response.body)["message"] == message
