"""TimeoutForNonLongRunningRequests: no request keeps a client waiting for ever.

The one place where a deadline is set. What it cancels may be anything but a commit: the log shields an append that is
queued, so a request that ran out of time while it committed answers with what it did, or its event says that it did.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import orjson
import trio

from ledger.apimachinery import status
from ledger.apimachinery.http import Handler, Request, Response, Write
from ledger.apimachinery.query import first_of
from ledger.pipeline.duration import parse_duration
from ledger.pipeline.longrunning import is_long_running

_HAS_TIMEOUT = re.compile(r"(^|&)timeout=")


def may_wait(_: Request) -> bool:
    """Of no request is it known that it is answered at once."""
    return False


def with_timeout_for_non_long_running_requests(
    handler: Handler, timeout_s: float, answers_at_once: Callable[[Request], bool] = may_wait
) -> Handler:
    """Answers 504 after `timeout_s`, or after the request's own ?timeout= where that is shorter and not 0.

    A request that is answered at once (nothing on its way waits) cannot be late, and a deadline costs more than all the
    other filters together. Raises StatusError 400 for a duration that Go would not parse (WithRequestDeadline in
    k8s.io/apiserver).
    """

    async def timed(request: Request) -> Response:
        if (not request.query and answers_at_once(request)) or is_long_running(request.info):
            return await handler(request)
        deadline = trio.current_time() + min(_asked_for(request) or timeout_s, timeout_s)
        with trio.move_on_at(deadline) as scope:
            response = await handler(request)
        if scope.cancelled_caught:
            return _timed_out()
        if response.stream is not None and not response.endless:
            response.stream = _bounded(response.stream, deadline)
        return response

    return timed


def _asked_for(request: Request) -> float:
    """Seconds of ?timeout=, 0 when there is none or none is meant."""
    if not _HAS_TIMEOUT.search(request.query):
        return 0.0
    value = first_of(request.query, "timeout")
    try:
        return max(parse_duration(value), 0.0) if value else 0.0
    except ValueError as error:
        raise status.bad_request(f"invalid timeout specified in the request URL - {error}") from None


def _timed_out() -> Response:
    """As upstream writes it: a Status without kind and apiVersion, and Go's guess at its type."""
    error = status.timeout("request did not complete within the allotted timeout").status()
    del error["kind"], error["apiVersion"]
    return Response(504, [("content-type", "text/plain; charset=utf-8")], orjson.dumps(error) + b"\n")


def _bounded(stream: Callable[[Write], Awaitable[None]], deadline: float) -> Callable[[Write], Awaitable[None]]:
    """The rest of the answer under the same deadline; trio.TooSlowError then ends the connection, as upstream does."""

    async def bounded(write: Write) -> None:
        with trio.fail_at(deadline):
            await stream(write)

    return bounded
