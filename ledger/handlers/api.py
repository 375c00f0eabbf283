"""What the verb handlers share: where to read, where to write, how to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.apimachinery.http import Request
from ledger.apimachinery.resource import Object
from ledger.handlers.encode import Encoder
from ledger.projections.store import Store
from ledger.registry.behaviour import Behaviour
from ledger.registry.registry import Call, Registry
from ledger.scheme.scheme import Scheme


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

    async def decoded(self, call: Call, field_validation: str) -> Object:
        """The request's body as an object in the request's version; warnings go to the client. StatusError 400, 415."""
        body = await call.request.read_body()
        content_type = call.request.headers.get("content-type")
        obj, warnings = self.behaviour.decode(call.definition, call.version, body, content_type, field_validation)
        warn(call.request, warnings)
        return obj


def warn(request: Request, warnings: list[str]) -> None:
    """Adds warnings that the client has not been given yet."""
    request.warnings += [one for one in warnings if one not in request.warnings]
