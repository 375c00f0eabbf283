"""Serves an ASGI application through our Request and Response, so that Quart can have the pages and nothing else.

The answer is collected before it is sent: pages are small, and a task for the application that outlives the handler
would have no owner. What must stream is a handler of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import trio

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.status import StatusError
from ledger.wire.answers import OWN_HEADERS

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
ANSWER_BYTES_MAX = 64 * 1024 * 1024
REQUEST_KEY = "ledger.request"  # in scope["extensions"]: the Request, with the user the chain found out


def asgi_handler(application: Application) -> Handler:
    """A handler that runs `application` once per request. Raises what it raises, and StatusError as read_body does."""

    async def handle(request: Request) -> Response:
        exchange = _Exchange(await request.read_body())
        await application(_scope(request), exchange.receive, exchange.send)
        return exchange.response()

    return handle


def _scope(request: Request) -> dict[str, Any]:
    """The HTTP connection scope of the ASGI specification, version 3."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.http_version,
        "method": request.method,
        "scheme": request.scheme,
        "path": unquote(request.raw_path),
        "raw_path": request.raw_path.encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
        "client": (request.client, 0) if request.client else None,
        "server": None,
        "state": {},
        "extensions": {REQUEST_KEY: request},
    }


class _Exchange:
    """One run of the application: gives it the body, keeps what it answers."""

    def __init__(self, body: bytes) -> None:
        self.unread: bytes | None = body
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()

    async def receive(self) -> Message:
        if self.unread is None:
            # The only message left would be a disconnect, and the wire cancels us instead of telling.
            await trio.sleep_forever()
        body, self.unread = self.unread, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())
            ]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if len(self.body) > ANSWER_BYTES_MAX:
                raise StatusError(500, "InternalError", "the page is too large")
        await trio.lowlevel.checkpoint()

    def response(self) -> Response:
        assert self.status, "the application ended without an answer"
        headers = [(name, value) for name, value in self.headers if name.lower() not in OWN_HEADERS]
        return Response(self.status, headers, bytes(self.body))
