"""patch: JSON Patch, merge patch, strategic merge patch, server-side apply."""

from __future__ import annotations

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.handlers.api import Api, warn
from ledger.handlers.update import check_name
from ledger.projections.api import View
from ledger.registry.options import APPLY_CONTENT_TYPES, WriteOptions, query_of, write_options
from ledger.registry.patching import check_patch, patcher
from ledger.registry.registry import Call

STRATEGIC = "application/strategic-merge-patch+json"
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    STRATEGIC,
    *APPLY_CONTENT_TYPES[:1],
)


async def patch(api: Api, call: Call) -> Response:
    """The patched object; 201 when an apply created it."""
    patch_type = patch_type_of(call)
    api.encoder.check(call)
    options = write_options(query_of(call.request), "PatchOptions", patch_type=patch_type)
    body = await call.request.read_body()
    if patch_type in APPLY_CONTENT_TYPES:
        return await _apply(api, call, body, options)
    given = check_patch(body)
    strategic = given if patch_type == STRATEGIC and isinstance(given, dict) else None

    def transform(live: Object | None, _view: View) -> Object:
        assert live is not None  # a missing object has been answered with 404
        change, complaints = patcher(patch_type, body, call.version.schema, options.field_validation != "Ignore")
        patched, warnings = api.behaviour.redecode(
            call.definition, call.version, change(live), options.field_validation, strategic, complaints
        )
        warn(call.request, warnings)
        check_name(call, patched)
        return patched

    written = await api.registry.update(call, transform, options)
    return await api.one(call, written.stored)


def patch_type_of(call: Call) -> str:
    given = call.request.headers.get("content-type").partition(";")[0].strip()
    if given not in PATCH_TYPES:
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if call.definition.custom and given == STRATEGIC:
        accepted = ", ".join(one for one in PATCH_TYPES if one != given)
        message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        raise StatusError(415, "UnsupportedMediaType", message)
    return given


async def _apply(api: Api, call: Call, body: bytes, options: WriteOptions) -> Response:
    config, warnings = api.behaviour.decode_applied(body, options.field_validation)
    warn(call.request, warnings)

    def transform(live: Object | None, _view: View) -> Object:
        now = api.clock()
        applied = api.behaviour.apply(call.definition, call.version, live, config, options, call.subresource, now)
        check_name(call, applied)
        return applied

    written = await api.registry.update(call, transform, options, create=not call.subresource, tracked=True)
    return await api.one(call, written.stored, 201 if written.created else 200)
