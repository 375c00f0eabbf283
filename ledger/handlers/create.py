"""create: a new object from the request's body."""

from __future__ import annotations

from ledger.apimachinery.http import Response
from ledger.handlers.api import Api
from ledger.registry.options import query_of, write_options
from ledger.registry.registry import Call


async def create(api: Api, call: Call) -> Response:
    api.encoder.check(call)
    options = write_options(query_of(call.request), "CreateOptions")
    obj = await api.decoded(call, options.field_validation)
    written = await api.registry.create(call, obj, options)
    return await api.one(call, written.stored, 201)
