"""What the verb handlers share: where to read, where to write, how to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ledger.apimachinery.http import Request, Response
from ledger.apimachinery.resource import GVK, Object
from ledger.handlers.encode import Encoder
from ledger.projections.api import Stored
from ledger.projections.store import Store
from ledger.registry.behaviour import Behaviour
from ledger.registry.body import Converted, decode
from ledger.registry.registry import Call, Registry
from ledger.scheme.conversion import by_webhook
from ledger.scheme.scheme import Scheme

T = TypeVar("T")


@dataclass(slots=True)
class Api:
    """The parts of a running server that handlers use."""

    store: Store
    registry: Registry
    behaviour: Behaviour
    scheme: Callable[[], Scheme]
    encoder: Encoder
    clock: Callable[[], int]  # microseconds since 1970
    watch_timeout_s: Callable[[], float]  # how long a watch lasts whose client names no time

    async def one(self, call: Call, stored: Stored, code: int = 200) -> Response:
        """The answer that shows an object. StatusError 406; 500 when no webhook converts it."""
        if not by_webhook(call.definition):
            return self.encoder.one(call, stored, code)
        return await self.shown(call, [stored], lambda: self.encoder.one(call, stored, code))

    async def converted(self, call: Call, items: list[Stored]) -> list[Stored]:
        """The objects of a list, those that a webhook converts already in the request's version. StatusError 500."""
        if not by_webhook(call.definition):
            return items
        return await self.shown(call, items, lambda: [Converted(one, self.encoder.object(call, one)) for one in items])

    async def shown(self, call: Call, items: Sequence[Stored], make: Callable[[], T]) -> T:
        """What `make` gives, which shows these objects in the request's version. StatusError 500, as `one`."""

        def ahead() -> Iterator[tuple[Object, GVK]]:
            return self.behaviour.unconverted(call.definition, call.version, map(decode, items))

        return await self.registry.conversions.run(call.definition, make, ahead)

    async def decoded(self, call: Call, field_validation: str) -> Object:
        """The request's body as an object in the request's version; warnings go to the client. StatusError 400, 415."""
        body = await call.request.read_body()
        content_type = call.request.headers.get("content-type")
        obj, warnings = self.behaviour.decode(call.definition, call.version, body, content_type, field_validation)
        warn(call.request, warnings)
        return obj


def warn(request: Request, warnings: list[str]) -> None:
    """Adds warnings that the client has not been given yet."""
    if warnings:
        request.warnings += [one for one in warnings if one not in request.warnings]
