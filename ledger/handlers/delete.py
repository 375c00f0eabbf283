"""delete and deletecollection."""

from __future__ import annotations

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import success
from ledger.handlers.api import Api
from ledger.registry.listing import list_page, selection_of
from ledger.registry.options import DeleteOptions, delete_options, list_options, query_of
from ledger.registry.registry import Call


async def delete(api: Api, call: Call) -> Response:
    api.encoder.check(call)
    written = await api.registry.delete(call, await _options(api, call))
    if written.whole:
        return await api.one(call, written.stored)
    resource = call.definition.group_resource
    details: Object = {"name": written.stored.key.name}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.resource, "uid": written.stored.uid}
    return api.encoder.status(call.request, success(details), 200)


async def delete_collection(api: Api, call: Call) -> Response:
    listing = list_options(query_of(call.request))
    options = await _options(api, call)
    selection = selection_of(call.definition, call.version, listing)
    page = await list_page(api.store, call.definition, call.namespace, listing, selection, api.clock() // 1_000_000)
    page.items = await api.registry.delete_collection(call, page.items, options)
    page.items = await api.converted(call, page.items)
    return await api.encoder.many(call, page)


async def _options(api: Api, call: Call) -> DeleteOptions:
    """DeleteOptions from the body when there is one, else from the query."""
    body = await call.request.read_body()
    decoded = api.behaviour.decode_options(body, call.request.headers.get("content-type"), "DeleteOptions")
    return delete_options(query_of(call.request), decoded)
