"""The chain as a whole: what a client sees, and what is left in the log."""

# ruff: noqa: E501 (a row of a table is a line)
from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable

import orjson
import pytest
import trio
import trio.testing

from ledger.apimachinery import status
from ledger.apimachinery.http import Handler, Request, RequestInfo, Response, User
from ledger.apimachinery.resource import GroupResource
from ledger.auth.api import Authenticated, Decision, Unauthenticated
from ledger.log.event import Event
from ledger.pipeline.cors import compile_origins
from ledger.pipeline.record import Recorder
from tests.pipeline.requests import ADMIN, chain_around, counter, header, ok, request_for


def play(handler: Handler, request: Request, **changes: object) -> tuple[Response, list[Event]]:
    events: list[Event] = []
    response = trio.run(chain_around(handler, events, **changes), request)
    return response, events


def raising(error: Exception) -> Handler:
    async def raises(request: Request) -> Response:
        raise error

    return raises


def refuse_credentials(request: Request) -> Authenticated | None:
    raise Unauthenticated("invalid bearer token")


def refuse_all(user: User, info: RequestInfo) -> Decision:
    return Decision(False, "rbac: RBAC: no luck")


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
    recorder = Recorder(counter(1), lambda: "id", lambda event: None, flow_of=lambda request: ("schema", "level"))
    response, _ = play(ok, request_for(line), recorder=recorder, **changes)
    assert header(response, "x-kubernetes-pf-flowschema-uid") == flow
    assert header(response, "x-kubernetes-pf-prioritylevel-uid") == ("level" if flow else "")


def test_a_panic_is_told_to_the_client_without_its_inside_and_to_the_log_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        response, _ = play(raising(KeyError("the secret key")), request_for("GET /api"))
    assert response.body == b"This request caused apiserver to panic. Look in the logs for details.\n"
    assert header(response, "content-type") == "text/plain; charset=utf-8"
    assert "the secret key" in caplog.text and "Traceback" in caplog.text


class TestMaxInFlight:
    def test_reads_and_writes_are_limited_apart_and_watches_not_at_all(self) -> None:
        codes = trio.run(
            self._codes, ["GET /api/v1/pods", "GET /api/v1/nodes", "PUT /api/v1/nodes/a", "GET /api/v1/pods?watch=1"]
        )
        assert codes == [200, 429, 200, 200]

    def test_a_slot_is_free_again_after_an_answer_and_after_an_error(self) -> None:
        events: list[Event] = []
        chain = chain_around(raising(KeyError()), events, requests_in_flight_max=1)

        async def twice() -> list[int]:
            return [(await chain(request_for("GET /api"))).status for _ in range(2)]

        assert trio.run(twice) == [500, 500]

    def test_the_refusal_reads_as_upstream_s(self) -> None:
        response = trio.run(self._answers, ["GET /api/v1/pods", "GET /api/v1/pods"])[1]
        assert response.body == b"Too many requests, please try again later.\n"
        assert (header(response, "retry-after"), header(response, "content-type")) == ("1", "text/plain; charset=utf-8")

    async def _codes(self, lines: list[str]) -> list[int]:
        return [response.status for response in await self._answers(lines)]

    async def _answers(self, lines: list[str]) -> list[Response]:
        """All at once, the handlers waiting until everybody has come in; in order of arrival."""
        release, answers = trio.Event(), dict.fromkeys(range(len(lines)), Response())

        async def waits(request: Request) -> Response:
            await release.wait()
            return Response(200)

        chain = chain_around(waits, [], requests_in_flight_max=1, mutating_requests_in_flight_max=1)

        async def ask(number: int) -> None:
            answers[number] = await chain(request_for(lines[number]))

        async with trio.open_nursery() as nursery:
            for number in range(len(lines)):
                nursery.start_soon(ask, number)
                await trio.testing.wait_all_tasks_blocked()
            release.set()
        return list(answers.values())


class TestTimeout:
    @pytest.mark.parametrize(
        "query, seconds",
        [
            ("", 60),
            ("?timeout=2s", 2),
            ("?timeout=1m30s", 60),
            ("?timeout=0", 60),
            ("?timeout=", 60),
            ("?timeout=-5s", 60),
        ],
    )
    def test_a_request_ends_at_its_own_timeout_or_the_server_s(self, query: str, seconds: float) -> None:
        response, events, took = self._sleep(f"GET /api/v1/pods{query}")
        assert (response.status, took) == (504, pytest.approx(seconds))
        assert [event.code for event in events] == [504]
        assert orjson.loads(response.body) == {
            "metadata": {},
            "status": "Failure",
            "message": "Timeout: request did not complete within the allotted timeout",
            "reason": "Timeout",
            "details": {},
            "code": 504,
        }

    @pytest.mark.parametrize(
        "value, text",
        [
            ("abc", 'time: invalid duration "abc"'),
            ("5", 'time: missing unit in duration "5"'),
            ("5x", 'time: unknown unit "x" in duration "5x"'),
            ("1s.", 'time: invalid duration "1s."'),
        ],
    )
    def test_a_timeout_that_go_cannot_read_is_refused(self, value: str, text: str) -> None:
        response, _ = play(ok, request_for(f"GET /api/v1/pods?timeout={value}"))
        assert response.status == 400
        assert orjson.loads(response.body)["message"] == f"invalid timeout specified in the request URL - {text}"

    def test_a_commit_that_has_begun_is_answered_however_long_it_takes(self) -> None:
        async def commits(request: Request) -> Response:
            with trio.CancelScope(shield=True):
                await trio.sleep(100)
            return Response(201)

        response = trio.run(chain_around(commits, []), request_for("POST /api/v1/namespaces"), clock=_autojump())
        assert response.status == 201

    def test_a_stream_is_under_the_same_deadline_and_a_watch_under_none(self) -> None:
        async def streams(request: Request) -> Response:
            async def stream(write: Callable[[bytes], Awaitable[None]]) -> None:
                await trio.sleep(3600)

            return Response(stream=stream)

        async def drain(line: str) -> float:
            response = await chain_around(streams, [])(request_for(line))
            assert response.stream is not None
            with contextlib.suppress(trio.TooSlowError):
                await response.stream(lambda chunk: trio.lowlevel.checkpoint())
            return trio.current_time() - started

        async def both() -> None:
            nonlocal started
            started = trio.current_time()
            assert await drain("GET /api/v1/pods") == pytest.approx(60)
            started = trio.current_time()
            assert await drain("GET /api/v1/pods?watch=1") == pytest.approx(3600)

        started = 0.0
        trio.run(both, clock=_autojump())

    def _sleep(self, line: str) -> tuple[Response, list[Event], float]:
        async def sleeps(request: Request) -> Response:
            await trio.sleep(1000)
            return Response(200)

        events: list[Event] = []

        async def timed() -> tuple[Response, float]:
            started = trio.current_time()
            response = await chain_around(sleeps, events)(request_for(line))
            return response, trio.current_time() - started

        response, took = trio.run(timed, clock=_autojump())
        return response, events, took


def _autojump() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0)


class TestCors:
    ORIGINS = compile_origins([r"//corpus\.example(:|$)"])

    @pytest.mark.parametrize(
        "origin, allowed",
        [
            ("https://corpus.example", True),
            ("https://corpus.example:8443", True),
            ("https://corpus.example.evil.org", False),
            ("https://evil.example", False),
            ("null", False),
            ("", False),
        ],
    )
    def test_an_allowed_origin_is_named_on_every_answer(self, origin: str, allowed: bool) -> None:
        for changes in ({}, {"authenticate": refuse_credentials}, {"authorize": refuse_all}):
            response, _ = play(ok, request_for("GET /api", origin=origin), cors_origins=self.ORIGINS, **changes)
            assert header(response, "access-control-allow-origin") == (origin if allowed else "")

    def test_a_preflight_needs_no_credentials(self) -> None:
        request = request_for("OPTIONS /api/v1/pods", origin="https://corpus.example")
        response, events = play(ok, request, cors_origins=self.ORIGINS, authenticate=refuse_credentials)
        assert (response.status, response.body, events[0].code) == (204, b"", 204)
        assert header(response, "access-control-allow-methods") == "POST, GET, OPTIONS, PUT, DELETE, PATCH"
        assert header(response, "access-control-allow-credentials") == "true"

    @pytest.mark.parametrize("pattern", ["", "example.com", "^example.com", "example.com$", "^(example$"])
    def test_an_origin_that_is_not_pinned_or_no_expression_is_refused_at_start(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="--cors-allowed-origins"):
            compile_origins([pattern])


class TestAuthentication:
    def test_credentials_end_at_the_filter(self) -> None:
        seen: list[str] = []

        async def looks(request: Request) -> Response:
            seen.extend(name for name, _ in request.headers)
            return Response()

        headers = {"authorization": "Bearer x", "x_remote_user": "a", "x_remote_extra_scopes": "b", "accept": "c"}
        play(looks, request_for("GET /api", **headers))
        assert seen == ["accept"]

    def test_a_token_for_other_audiences_is_no_good(self) -> None:
        for audiences, code in ((("here",), 200), (("elsewhere",), 401), ((), 200)):
            found = Authenticated(ADMIN, audiences)
            assert (
                play(ok, request_for("GET /api"), authenticate=lambda _, found=found: found, audiences=["here"])[
                    0
                ].status
                == code
            )


@pytest.mark.parametrize(
    "line, message",
    [
        ("GET /api/v1/namespaces/x/configmaps/a", 'configmaps "a" is forbidden: User "admin" cannot get resource "configmaps" in API group "" in the namespace "x"'),
        ("GET /apis/apps/v1/namespaces/default/deployments/x/scale", 'deployments.apps "x" is forbidden: User "admin" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"'),
        ("GET /api/v1/nodes", 'nodes is forbidden: User "admin" cannot list resource "nodes" in API group "" at the cluster scope'),
        ("GET /logs", 'forbidden: User "admin" cannot get path "/logs"'),
        ("OPTIONS /api/v1/nodes/a", 'nodes "a" is forbidden: User "admin" cannot  resource "nodes" in API group "" at the cluster scope'),
        ("GET /<b>", 'forbidden: User "admin" cannot get path "/&lt;b&gt;"'),
    ],
)  # fmt: skip
def test_a_refusal_reads_as_upstream_s(line: str, message: str) -> None:
    response, events = play(ok, request_for(line), authorize=refuse_all)
    assert orjson.loads(response.body)["message"] == f"{message}: rbac: RBAC: no luck"
    assert header(response, "x-content-type-options") == "nosniff"
    assert events[0].annotations["authorization.k8s.io/decision"] == "forbid"
