"""Sends requests to peers and keeps the connections between them.

A connection is kept for the next request to the same peer. Only a request that can be sent again takes a kept one, a GET, a
HEAD or one whose body is there as a whole: such a connection may turn out to have ended before the answer began.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import trio

from ledger.outbound.dialing import Contexts, Peer, dial
from ledger.outbound.refusal import CallFailed

if TYPE_CHECKING:
    from ledger.outbound.exchange import Exchange

IDLE_S = 90.0  # as Go's transport keeps them
IDLE_MAX = 100
REPEATABLE = ("GET", "HEAD")
Headers = list[tuple[str, str]]


class Body(NamedTuple):
    """What is sent with a request. `read` gives its next piece, b"" at the end."""

    read: Callable[[], Awaitable[bytes]]
    length: int | None = None  # None: sent in chunks
    when_asked: bool = False  # nothing is read or sent before the peer has said 100 Continue


class Stale(Exception):
    """A connection that was kept open ended before the answer to this request began."""


class Caller:
    """Sends requests, and keeps the connections between them."""

    def __init__(self) -> None:
        self._contexts = Contexts()
        self._idle: OrderedDict[Exchange, float] = OrderedDict()  # each with when it was put here, oldest first

    async def ask(
        self, peer: Peer, method: str, target: str, headers: Headers, body: Body | bytes | None = None
    ) -> Exchange:
        """The answer's head; the rest is read from it. `target` is the path with its query, percent-encoded.

        Whoever is given an Exchange closes it. Raises CallFailed, and what reading the body raises.
        """
        repeatable = isinstance(body, bytes) or (body is None and method in REPEATABLE)
        while (repeatable or peer.socket) and (kept := self._take(peer)) is not None:
            try:
                return await kept._started(method, target, headers, body)
            except Stale as stale:
                kept.abort()
                if peer.socket:  # a process of our own ends no connection that is kept, unless it ends itself
                    raise CallFailed(str(stale)) from None
            except BaseException:
                kept.abort()
                raise
        from ledger.outbound.exchange import Exchange  # and h11 with it: most servers never ask anybody

        exchange = Exchange(self, peer, await dial(peer, self._contexts))
        try:
            return await exchange._started(method, target, headers, body)
        except Stale as stale:
            exchange.abort()
            raise CallFailed(str(stale)) from None
        except BaseException:
            exchange.abort()
            raise

    def _take(self, peer: Peer) -> Exchange | None:
        self._drop_old()
        for kept in reversed(self._idle):
            if kept.peer == peer:
                del self._idle[kept]
                if kept.is_quiet():
                    return kept
                kept.abort()
                return self._take(peer)
        return None

    def _keep(self, exchange: Exchange) -> None:
        self._idle[exchange] = trio.current_time()
        self._drop_old()

    def _drop_old(self) -> None:
        oldest = trio.current_time() - IDLE_S
        while self._idle and (len(self._idle) > IDLE_MAX or next(iter(self._idle.values())) < oldest):
            self._idle.popitem(last=False)[0].abort()

    def close(self) -> None:
        """Ends the connections that nobody uses."""
        while self._idle:
            self._idle.popitem()[0].abort()
