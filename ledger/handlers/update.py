"""update: the object as the request's body has it, of the main resource or a subresource that is a part of it."""

from __future__ import annotations

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import bad_request
from ledger.handlers.api import Api
from ledger.projections.api import View
from ledger.registry.options import query_of, write_options
from ledger.registry.registry import Call


async def update(api: Api, call: Call) -> Response:
    api.encoder.check(call)
    options = write_options(query_of(call.request), "UpdateOptions")
    wanted = await api.decoded(call, options.field_validation)
    check_name(call, wanted)

    def transform(_live: Object | None, _view: View) -> Object:
        return {**wanted, "metadata": dict(wanted["metadata"])}

    allowed = call.definition.traits.create_on_update and not call.subresource
    written = await api.registry.update(call, transform, options, create=allowed)
    return await api.one(call, written.stored, 201 if written.created else 200)


def check_name(call: Call, obj: Object) -> None:
    """The object's name and namespace must be the path's (rest.EnsureObjectName...)."""
    name = obj["metadata"].get("name", "")
    if not name:
        why = "name must be provided"
        raise bad_request(f"the name of the object ({call.name} based on URL) was undeterminable: {why}")
    if name != call.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.name})")
