"""Who speaks to the clients: this process itself, or worker processes for it."""

from __future__ import annotations

import errno
from typing import Protocol

import trio

from ledger.handlers.health import Check
from ledger.server.app import App
from ledger.server.process import StartError
from ledger.wire.config import WireConfig
from ledger.wire.listener import serve as listen


class Front(Protocol):
    """`start`, then `ready`, in the end `end`; the nursery given to `start` is done when all clients are served."""

    @property
    def check(self) -> Check | None:
        """What /readyz asks of it, where it can be unwell by itself."""
        ...

    async def start(self, nursery: trio.Nursery, app: App) -> int:
        """Begins to listen; the port. Raises StartError."""
        ...

    async def ready(self) -> None:
        """Returns once all that accept connections do. Raises StartError."""
        ...

    async def end(self) -> None:
        """Takes no new connections from now on, and lets the others end within the grace period."""
        ...


class Alone:
    """This process answers everything."""

    check: Check | None = None

    def __init__(self, wire: WireConfig) -> None:
        self._wire = wire

    async def start(self, nursery: trio.Nursery, app: App) -> int:
        try:
            addresses = await nursery.start(lambda **k: listen(self._wire, app.handler, **k))
        except OSError as error:
            raise StartError(why_not_listening(error, self._wire.bind[0])) from None
        return int(addresses[0].rpartition(":")[2])

    async def ready(self) -> None:
        """It is as soon as it listens."""

    async def end(self) -> None:
        self._wire.drain.set()


def why_not_listening(error: OSError, address: str) -> str:
    """A file that TLS cannot use names itself; everything else is about the address."""
    said = error.strerror or str(error)
    return said if error.errno == errno.EINVAL else f"cannot listen on {address}: {said}"
