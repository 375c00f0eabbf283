"""get: one object, now or at the moment the path names."""

from __future__ import annotations

from ledger.apimachinery.http import Response
from ledger.apimachinery.status import not_found, too_large_resource_version
from ledger.handlers.api import Api
from ledger.registry.conversions import NoConversion, undecodable
from ledger.registry.options import get_resource_version, parse_revision, query_of
from ledger.registry.registry import Call
from ledger.scheme.conversion import by_webhook


async def get(api: Api, call: Call, revision: int | None = None) -> Response:
    """The object; `revision`: as it stood then (None: now)."""
    form = api.encoder.check(call)
    given = call.request.query and get_resource_version(query_of(call.request))
    if given and revision is None:
        wanted, head = parse_revision(given), api.store.head()
        if wanted > head:
            raise too_large_resource_version(wanted, head)
    if revision is None:
        stored = api.store.get(call.key)
    else:
        with api.store.view(revision) as view:
            stored = view.get(call.key)
    if stored is None:
        raise not_found(call.definition.group_resource, call.name)
    try:
        return await api.one(call, stored) if by_webhook(call.definition) else api.encoder.one(call, stored, form=form)
    except NoConversion as why:
        raise undecodable(stored, why) from None
