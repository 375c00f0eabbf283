"""list: the objects of a resource, in one answer or in pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import trio

from ledger.apimachinery.http import Response
from ledger.apimachinery.status import bad_request
from ledger.handlers.api import Api
from ledger.registry.listing import Listing, list_page, selection_of
from ledger.registry.options import ListOptions, list_options, query_of
from ledger.registry.registry import Call
from ledger.scheme.conversion import by_webhook


async def list_objects(api: Api, call: Call, revision: int | None = None) -> Response:
    """One page; `revision`: as the state stood then (None: as the options say)."""
    api.encoder.check(call, collection=True)
    options = list_options(query_of(call.request))
    if revision is not None:
        options = at_moment(options, revision)
    selection = selection_of(call.definition, call.version, options)
    now_s = api.clock() // 1_000_000
    if not selection and api.encoder.joins(call) and not by_webhook(call.definition):
        return await _joined(api, call, Listing(api.store, call.definition, call.namespace, options, selection, now_s))
    page = await list_page(api.store, call.definition, call.namespace, options, selection, now_s)
    page.items = await api.converted(call, page.items)
    return await api.encoder.many(call, page)


async def _joined(api: Api, call: Call, listing: Listing) -> Response:
    """A list of stored bytes. One that is not cut into pages is sent while it is read, and never in memory whole."""
    version, shown = api.encoder.stored_version(call), partial(api.encoder.item, call)
    pieces = [listing.bodies(version, shown)]
    while listing.limited and not listing.complete:  # what comes first says whether there is a next page
        await trio.lowlevel.checkpoint()
        pieces.append(listing.bodies(version, shown))

    def rest() -> Iterator[bytes]:
        while not listing.complete:
            yield listing.bodies(version, shown)

    return api.encoder.joined(call, listing.page, pieces, None if listing.complete else rest())


def at_moment(options: ListOptions, revision: int) -> ListOptions:
    """List options bound to a moment; a continue token keeps the revision it came with."""
    if options.continue_:
        return options
    if options.resource_version not in ("", "0", str(revision)) and options.match == "Exact":
        raise bad_request("resourceVersionMatch=Exact names another revision than the path does")
    return replace(options, resource_version=str(revision), match="Exact")
