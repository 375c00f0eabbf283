"""Requests made up for tests of the chain."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import trio

from ledger.apimachinery.http import Handler, Headers, Request, RequestInfo, Response, User
from ledger.auth.api import Authenticated, Decision, Unauthenticated
from ledger.log.event import Event
from ledger.pipeline.chain import ChainConfig, build_chain
from ledger.pipeline.record import Recorder

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


def request_for(line: str, user: User | None = None, **headers: str) -> Request:
    """ "GET /api/v1/pods?watch=1", and headers as keywords (audit_id="x" is Audit-Id: x)."""
    method, target = line.split()
    url = urlsplit(target)

    async def no_body() -> bytes:
        return b""

    pairs = [(name.replace("_", "-").lower(), value) for name, value in headers.items()]
    return Request(method, url.path, url.query, Headers(pairs), no_body, client="192.0.2.7", user=user)


async def ok(request: Request) -> Response:
    return Response(200, [("content-type", "application/json")], b"{}")


def chain_around(handler: Handler, events: list[Event], **changes: object) -> Handler:
    """The whole chain: everybody is ADMIN and may do everything, unless changed."""
    recorder = Recorder(clock_us=counter(1_000_000), new_audit_id=lambda: "made-id", note=noting(events))
    config = {
        "recorder": recorder,
        "authenticate": lambda request: Authenticated(ADMIN),
        "authorize": lambda user, info: Decision(True, "because"),
    }
    return build_chain(handler, ChainConfig(**(config | changes)))  # type: ignore[arg-type]


def noting(events: list[Event]) -> Callable[[Event], bool]:
    """A log that is a list."""

    def note(event: Event) -> bool:
        events.append(event)
        return True

    return note


def counter(start: int) -> Callable[[], int]:
    """A clock that is one microsecond later each time it is read."""
    now = [start]

    def tick() -> int:
        now[0] += 1
        return now[0]

    return tick


def header(response: Response, name: str) -> str:
    return Headers(response.headers).get(name)


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
