"""list: the objects of a resource, in one answer or in pages."""

from __future__ import annotations

from dataclasses import replace

from ledger.apimachinery.http import Response
from ledger.apimachinery.status import bad_request
from ledger.handlers.api import Api
from ledger.registry.listing import list_page, selection_of
from ledger.registry.options import ListOptions, list_options, query_of
from ledger.registry.registry import Call


async def list_objects(api: Api, call: Call, revision: int | None = None) -> Response:
    """One page; `revision`: as the state stood then (None: as the options say)."""
    api.encoder.check(call, collection=True)
    options = list_options(query_of(call.request))
    if revision is not None:
        options = at_moment(options, revision)
    selection = selection_of(call.definition, call.version, options)
    page = list_page(api.store, call.definition, call.namespace, options, selection, api.clock() // 1_000_000)
    return api.encoder.many(call, page)


def at_moment(options: ListOptions, revision: int) -> ListOptions:
    """List options bound to a moment; a continue token keeps the revision it came with."""
    if options.continue_:
        return options
    if options.resource_version not in ("", "0", str(revision)) and options.match == "Exact":
        raise bad_request("resourceVersionMatch=Exact names another revision than the path does")
    return replace(options, resource_version=str(revision), match="Exact")
