"""No request keeps its client waiting for ever."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import orjson
import pytest
import trio
import trio.testing

from ledger.apimachinery.http import Request, Response
from ledger.log.event import Event
from tests.pipeline.requests import chain_around, ok, play, request_for


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
def test_a_request_ends_at_its_own_timeout_or_the_server_s(query: str, seconds: float) -> None:
    response, events, took = _sleep(f"GET /api/v1/pods{query}")
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
def test_a_timeout_that_go_cannot_read_is_refused(value: str, text: str) -> None:
    response, _ = play(ok, request_for(f"GET /api/v1/pods?timeout={value}"))
    assert response.status == 400
    assert orjson.loads(response.body)["message"] == f"invalid timeout specified in the request URL - {text}"


def test_a_commit_that_has_begun_is_answered_however_long_it_takes() -> None:
    async def commits(request: Request) -> Response:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)
        return Response(201)

    response = trio.run(chain_around(commits, []), request_for("POST /api/v1/namespaces"), clock=_autojump())
    assert response.status == 201


def test_a_stream_is_under_the_same_deadline_and_a_watch_under_none() -> None:
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


def _sleep(line: str) -> tuple[Response, list[Event], float]:
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
