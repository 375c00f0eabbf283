"""What is shared by all connections, and what the listener keeps of each to end it in time."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import trio

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.status import StatusError
from ledger.wire.answers import internal_error
from ledger.wire.config import WireConfig
from ledger.wire.stream import PlainStream

log = logging.getLogger("ledger.wire")


NOT_BEGUN = -1.0  # the deadline of a time that has not begun; no clock shows it


class Connection:
    """One accepted socket. The sweeper calls `on_deadline` once `deadline` has passed: no timer per request."""

    __slots__ = (
        "certificate", "certificate_error", "client", "deadline", "on_deadline", "on_drain", "patience_s", "scheme",
        "scope", "signer", "stream",
    )  # fmt: skip

    def __init__(self, stream: PlainStream, client: str, scheme: str) -> None:
        self.stream = stream
        self.client = client
        self.scheme = scheme
        self.certificate: bytes | None = None
        self.signer: bytes | None = None  # of the certificate
        self.certificate_error = ""
        self.scope = trio.CancelScope()
        self.deadline = math.inf
        self.patience_s = 0.0
        self.on_deadline: Callable[[], None] = self.scope.cancel
        self.on_drain: Callable[[], None] = self.scope.cancel  # before a loop took over there is nothing to finish

    def expire_in(self, seconds: float) -> None:
        """The sweeper reads the clock, not each request: the time begins when it comes by next."""
        self.patience_s, self.deadline = seconds, NOT_BEGUN

    def forget(self) -> None:
        """Lets go of the loop that served it, so that TLS and buffers go now and not with the next full collection."""
        self.on_deadline = self.on_drain = _over


def _over() -> None:
    """What deadline and drain mean to a connection that has ended."""


class Wire:
    """The handler, the limits, and the connections there are."""

    __slots__ = ("config", "connections", "draining", "handler", "large_heads")

    def __init__(self, config: WireConfig, handler: Handler) -> None:
        self.config = config
        self.handler = handler
        self.connections: set[Connection] = set()
        self.draining = False
        self.large_heads: set[Connection] = set()  # connections in the middle of an unusually large request header

    def drain(self) -> None:
        """From here on connections end as soon as what they are in the middle of allows."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.on_drain()

    def sweep(self) -> None:
        """Ends the connections that waited too long for their peer."""
        now = trio.current_time()
        for connection in tuple(self.connections):
            if connection.deadline == NOT_BEGUN:
                connection.deadline = now + connection.patience_s
            elif connection.deadline < now:
                connection.on_deadline()

    async def answer(self, request: Request) -> Response:
        """The handler's answer. It must not raise; when it does, that is a 500 here and not the end of a connection."""
        if request.raw_path == "*" and request.method == "OPTIONS":
            return Response(200)  # asks about the server as a whole; Go's net/http answers it before any handler
        try:
            return await self.handler(request)
        except Exception:
            log.exception("the handler failed on %s %s", request.method, request.raw_path)
            return internal_error()


def body_too_large(bytes_max: int) -> StatusError:
    """NewRequestEntityTooLargeError in k8s.io/apimachinery."""
    message = f"Request entity too large: limit is {bytes_max}"
    return StatusError(413, "RequestEntityTooLarge", message)


def body_too_slow() -> StatusError:
    return StatusError(408, "Timeout", "Timeout: the request body did not arrive in time")


def body_cut_short() -> StatusError:
    return StatusError(400, "BadRequest", "unexpected EOF")
