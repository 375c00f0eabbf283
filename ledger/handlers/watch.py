"""watch: a stream of events, one frame each."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial

from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Response, Write
from ledger.apimachinery.status import StatusError
from ledger.handlers.api import Api
from ledger.handlers.encode import Frames
from ledger.log.api import Compacted
from ledger.registry.listing import selection_of
from ledger.registry.options import ListOptions, list_options, query_of
from ledger.registry.registry import Call
from ledger.registry.watching import WatchEvent, Watching
from ledger.scheme.conversion import by_webhook


async def watch(api: Api, call: Call, revision: int | None = None) -> Response:
    """The stream; `revision`: the head of a past moment, whose watches show its objects and then stay silent."""
    options = list_options(query_of(call.request), watch=True)
    selection = selection_of(call.definition, call.version, options)
    if call.name:
        named = replace(options, field_selector=f"metadata.name={call.name}")
        selection = selection_of(call.definition, call.version, named)
    _check_revision(options)
    frames = api.encoder.frames(call)
    timeout_s = float(options.timeout_s) if options.timeout_s else api.watch_timeout_s()
    selectors = options.label_selector, options.field_selector, call.name

    def alike() -> Hashable:
        return None if by_webhook(call.definition) else (frames.alike(), selectors)

    watching = Watching(api.store, call.definition, call.namespace, options, selection, revision)
    watching.frame, watching.framed, watching.alike = frames.event, partial(_framed, api, call, frames), alike

    async def stream(write: Write) -> None:
        try:
            await watching.run(write, timeout_s)
        except StatusError as failed:  # a webhook that does not convert
            await write(frames.error(failed))
        except Compacted as compacted:
            given = options.resource_version
            text = f"too old resource version: {given} ({compacted.oldest})"
            await write(frames.error(StatusError(410, "Expired", text)))

    return Response(200, [("content-type", frames.content_type)], stream=stream, endless=True)


async def _framed(api: Api, call: Call, frames: Frames, batch: list[WatchEvent]) -> bytes:
    news = [event.stored for event in batch if event.stored is not None and not frames.made(event)]
    return await api.shown(call, news, lambda: b"".join([frames.event(event) for event in batch]))


def _check_revision(options: ListOptions) -> None:
    given = options.resource_version
    if given and not (given.isascii() and given.isdigit()):
        text = f"resourceVersion: Invalid value: {quoted(given)}: strconv.ParseUint: parsing {quoted(given)}: invalid syntax"
        raise StatusError(500, "", text)
