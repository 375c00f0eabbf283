"""At most so many at once: reads and writes apart, what stays open not at all."""

from __future__ import annotations

import trio
import trio.testing

from ledger.apimachinery.http import Request, Response
from ledger.log.event import Event
from tests.pipeline.requests import chain_around, header, raising, request_for


def test_reads_and_writes_are_limited_apart_and_watches_not_at_all() -> None:
    codes = trio.run(
        _codes, ["GET /api/v1/pods", "GET /api/v1/nodes", "PUT /api/v1/nodes/a", "GET /api/v1/pods?watch=1"]
    )
    assert codes == [200, 429, 200, 200]


def test_a_slot_is_free_again_after_an_answer_and_after_an_error() -> None:
    events: list[Event] = []
    chain = chain_around(raising(KeyError()), events, requests_in_flight_max=1)

    async def twice() -> list[int]:
        return [(await chain(request_for("GET /api"))).status for _ in range(2)]

    assert trio.run(twice) == [500, 500]


def test_the_refusal_reads_as_upstream_s() -> None:
    response = trio.run(_answers, ["GET /api/v1/pods", "GET /api/v1/pods"])[1]
    assert response.body == b"Too many requests, please try again later.\n"
    assert (header(response, "retry-after"), header(response, "content-type")) == ("1", "text/plain; charset=utf-8")


async def _codes(lines: list[str]) -> list[int]:
    return [response.status for response in await _answers(lines)]


async def _answers(lines: list[str]) -> list[Response]:
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
