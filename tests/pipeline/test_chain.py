"""The chain as a whole: what a client sees, and what is left in the log."""

# ruff: noqa: E501 (a row of a table is a line)

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from ledger.apimachinery import status
from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.resource import GroupResource
from ledger.log.event import Event
from ledger.pipeline.record import Recorder
from tests.pipeline.requests import (
    ADMIN,
    chain_around,
    counter,
    header,
    ok,
    play,
    raising,
    refuse_all,
    refuse_credentials,
    request_for,
)


def failing(error: Exception) -> Callable[[Request], bool]:
    def fail(request: Request) -> bool:
        raise error

    return fail


@pytest.mark.parametrize(
    "why, handler, changes, code, reason, stage",
    [
        ("an answer", ok, {}, 200, "", "ResponseComplete"),
        ("not found", raising(status.not_found(GroupResource("", "pods"), "a")), {}, 404, "NotFound", "ResponseComplete"),
        ("bad token", ok, {"authenticate": refuse_credentials}, 401, "Unauthorized", "ResponseComplete"),
        ("nobody", ok, {"authenticate": lambda request: None}, 401, "Unauthorized", "ResponseComplete"),
        ("forbidden", ok, {"authorize": refuse_all}, 403, "Forbidden", "ResponseComplete"),
        ("a bug", raising(KeyError("spec")), {}, 500, "", "Panic"),
        ("a Status in a group", raising(ExceptionGroup("", [status.unauthorized()])), {}, 401, "Unauthorized", "ResponseComplete"),
        ("a bug in a group", raising(ExceptionGroup("", [status.unauthorized(), KeyError()])), {}, 500, "", "Panic"),
        ("a bug outside PanicRecovery", ok, {"answers_at_once": failing(KeyError("spec"))}, 500, "", "Panic"),
        ("a Status outside it", ok, {"answers_at_once": failing(status.unauthorized())}, 401, "Unauthorized", "ResponseComplete"),
        ("in a group", ok, {"answers_at_once": failing(ExceptionGroup("", [status.unauthorized()]))}, 401, "Unauthorized", "ResponseComplete"),
    ],
)  # fmt: skip
def test_every_way_out_leaves_one_event(
    why: str, handler: Handler, changes: dict[str, object], code: int, reason: str, stage: str
) -> None:
    response, events = play(handler, request_for("GET /api/v1/namespaces/ns/pods/a"), **changes)
    assert response.status == code
    assert [(event.code, event.reason, event.stage) for event in events] == [(code, reason, stage)]
    assert header(response, "audit-id") == events[0].audit_id == "made-id"
    assert header(response, "cache-control") == "no-cache, private"


def test_a_write_that_recorded_itself_is_not_recorded_again() -> None:
    async def committed(request: Request) -> Response:
        request.recorded = True
        return Response(201)

    assert play(committed, request_for("POST /api/v1/namespaces"))[1] == []


def test_a_client_that_goes_away_leaves_its_event() -> None:
    events: list[Event] = []

    async def leave() -> None:
        with trio.CancelScope() as scope:
            chain = chain_around(lambda request: _cancel(scope), events)
            await chain(request_for("GET /api/v1/pods"))
        assert scope.cancelled_caught

    async def _cancel(scope: trio.CancelScope) -> Response:
        scope.cancel()
        await trio.sleep_forever()
        raise AssertionError

    trio.run(leave)
    assert [(event.code, event.verb) for event in events] == [(499, "list")]


def test_a_long_running_answer_is_recorded_when_it_starts() -> None:
    events = play(ok, request_for("GET /api/v1/pods?watch=true"))[1]
    assert [(event.verb, event.stage) for event in events] == [("watch", "ResponseStarted")]


def test_the_event_says_who_asked_for_what_and_why_they_might() -> None:
    request = request_for("POST /apis/apps/v1/namespaces/ns/deployments/a/scale?x=1", user_agent="kubectl/1.37")
    event = play(ok, request)[1][0]
    assert (event.user, event.impersonated, event.uri) == (ADMIN, None, f"{request.raw_path}?x=1")
    assert (event.api_group, event.api_version, event.resource, event.subresource) == (
        "apps",
        "v1",
        "deployments",
        "scale",
    )
    assert (event.namespace, event.name, event.source_ips, event.user_agent) == (
        "ns",
        "a",
        ("192.0.2.7",),
        "kubectl/1.37",
    )
    assert event.annotations == {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "because"}
    assert event.received < event.answered


def test_the_body_of_a_token_review_is_not_recorded() -> None:
    request = request_for("POST /apis/authentication.k8s.io/v1/tokenreviews")
    request.body = b'{"spec":{"token":"secret"}}'
    assert play(ok, request)[1][0].request_body == b""


def test_a_client_names_its_own_audit_id() -> None:
    response, events = play(ok, request_for("GET /api", audit_id="my-own-id"))
    assert header(response, "audit-id") == events[0].audit_id == "my-own-id"


def test_a_handler_may_say_how_its_answer_is_cached() -> None:
    async def cached(request: Request) -> Response:
        return Response(200, [("cache-control", "public, max-age=3600")])

    response, _ = play(cached, request_for("GET /openid/v1/jwks"))
    assert [value for name, value in response.headers if name == "cache-control"] == ["public, max-age=3600"]


def test_what_filters_and_handlers_leave_on_the_request_goes_onto_any_answer() -> None:
    async def warns(request: Request) -> Response:
        request.warnings += ['a "quoted" word', "again", "again"]
        request.response_headers.append(("x-mine", "1"))
        raise status.too_many_requests("slow down", 7)

    response, _ = play(warns, request_for("GET /api"))
    assert [value for name, value in response.headers if name == "warning"] == [
        r'299 - "a \"quoted\" word"',
        '299 - "again"',
    ]
    assert (header(response, "x-mine"), header(response, "retry-after")) == ("1", "7")


@pytest.mark.parametrize("line, changes, flow", [
    ("GET /api/v1/pods",                        {},                                     "schema"),
    ("GET /api/v1/pods?watch=1",                {},                                     "schema"),
    ("GET /api/v1/pods",                        {"authorize": refuse_all},              "schema"),
    ("GET /api/v1/pods",                        {"authenticate": refuse_credentials},   ""),
    ("GET /api/v1/namespaces/ns/pods/a/log",    {},                                     ""),
])  # fmt: skip
def test_a_client_is_told_its_flow_once_it_is_known(line: str, changes: dict[str, object], flow: str) -> None:
    recorder = Recorder(counter(1), lambda: "id", lambda event: True, flow_of=lambda request: ("schema", "level"))
    response, _ = play(ok, request_for(line), recorder=recorder, **changes)
    assert header(response, "x-kubernetes-pf-flowschema-uid") == flow
    assert header(response, "x-kubernetes-pf-prioritylevel-uid") == ("level" if flow else "")
