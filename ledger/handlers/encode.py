"""Answers: objects, lists, tables, metadata, watch frames; as JSON, YAML, CBOR or protobuf.

The common case, JSON of objects in the version they are stored in, joins stored bytes and decodes nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import orjson
import trio

from ledger.apimachinery import cbor_codec, json_codec
from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Headers, Request, Response, Write
from ledger.apimachinery.negotiation import (
    CBOR,
    JSON,
    PROTOBUF,
    YAML,
    Negotiated,
    is_a_list,
    negotiate,
    negotiate_error,
    negotiate_watch,
    not_a_list,
    wants_pretty,
    watch_content_type,
)
from ledger.apimachinery.resource import GVK, Object
from ledger.apimachinery.status import StatusError, bad_request
from ledger.handlers import table
from ledger.projections.api import Stored
from ledger.registry.behaviour import Behaviour
from ledger.registry.body import Converted, decode, prefix_of
from ledger.registry.listing import Page
from ledger.registry.options import query_of, text
from ledger.registry.registry import Call
from ledger.registry.watching import WatchEvent
from ledger.scheme import protobuf, types
from ledger.scheme.conversion import stored_kind

LARGE_BODY_BYTES = 16 * 1024
GZIP_FROM_BYTES = 128 * 1024  # as k8s.io/apiserver's deferredResponseWriter
GZIPPED = [("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
CHUNKS_A_TURN = 2  # of 512 KiB, sent to a client that always has room
LARGE_PIECE_BYTES = 64 * 1024  # of a list: dearer to copy than to send by itself
ITEMS_A_TURN = 100  # of a list, decoded before others have their turn; some milliseconds
STATUS = GVK("", "v1", "Status")
Shown = Callable[[list[Object]], list[Object]]
_IS_JSON = ("content-type", JSON)


class Encoder:
    """`clock` (microseconds) gives the ages in tables their now."""

    def __init__(self, behaviour: Behaviour, clock: Callable[[], int]) -> None:
        self.behaviour, self.clock = behaviour, clock

    # --- one object -----------------------------------------------------------------------------------------------
    def one(self, call: Call, stored: Stored, code: int = 200, form: Negotiated | None = None) -> Response:
        """An object, or what the Accept header wants made of it (`form`, where that is known already). StatusError 406."""
        form = form or _negotiated(call)
        if form.media_type == JSON and not form.transform and not call.definition.custom:
            wanted = call.version.kind
            api_version = wanted.api_version
            if stored.written_in(api_version):
                body = _with_prefix(prefix_of(api_version, wanted.kind), stored.body)
                return self._json(call.request, body, code, form)
        if form.transform.endswith("List"):
            raise not_a_list(form.transform, types.internal_name(stored_kind(call.definition)))
        obj = self.object(call, stored)
        if form.transform == "Table":
            rows = [self.row(call, obj, form.version)]
            meta = _only(obj["metadata"], "resourceVersion")
            return self._document(call.request, table.document(call.version, form.version, meta, rows), form, code)
        if form.transform:
            obj = table.partial(call.definition, obj, form.version)
        return self._document(call.request, obj, form, code)

    def now(self, request: Request) -> int:
        """The time ages are counted to: of the moment the request reads, else the present."""
        moment: int | None = request.scratch.get("moment_us")
        return self.clock() if moment is None else moment

    def check(self, call: Call, collection: bool = False) -> Negotiated:
        """StatusError 406 when the client takes nothing this endpoint can give: said before anything is looked up."""
        return _negotiated(call, collection)

    def object(self, call: Call, stored: Stored) -> Object:
        """The decoded object in the request's version."""
        if isinstance(stored, Converted):
            return stored.obj
        return self.behaviour.from_storage(call.definition, call.version, decode(stored))

    def plain(self, request: Request, kind: GVK, obj: Object, code: int) -> Response:
        """An object that is not stored: a Scale, a review."""
        form = negotiate(request.headers.get("accept"))
        if form.transform == "Table":
            meta = _only(obj.get("metadata") or {}, "resourceVersion")
            return self._document(request, table.of_kind(kind, obj, meta, form.version, self.now(request)), form, code)
        return self._document(request, partial(obj, form.version) if form.transform else obj, form, code)

    def table(self, call: Call, objects: list[Object]) -> Response | None:
        """The Table of objects of this resource that are not stored; None when the client wants no Table."""
        form = _negotiated(call, collection=not call.name)
        if form.transform != "Table":
            return None
        found = table.rows(
            call.definition, call.version, objects, self.now(call.request), _included(call.request), form.version
        )
        return self._document(call.request, table.document(call.version, form.version, {}, found), form, 200)

    # --- lists ----------------------------------------------------------------------------------------------------
    def joins(self, call: Call) -> bool:
        """Whether the answer to a list is a join of its items' JSON, so that it need not be there as a whole."""
        form = _negotiated(call, collection=True)
        return form.media_type == JSON and not form.transform and not self._pretty(call.request, form)

    def stored_version(self, call: Call) -> str:
        """The version whose stored bytes a list shows as they are; none of a custom resource, which is read anew."""
        return "" if call.definition.custom else call.version.kind.api_version

    def item(self, call: Call, stored: Stored) -> bytes:
        """An object as JSON, as a list shows it that cannot show the stored bytes."""
        obj = self.object(call, stored)
        return json_codec.dumps(obj if call.definition.custom else _untyped(obj))

    def joined(self, call: Call, page: Page, pieces: list[bytes], rest: Iterator[bytes] | None) -> Response:
        """A list whose items are JSON, a comma before each; `rest`: what is still to be read of it."""
        document = _list_document(_list_head(call, page), pieces, rest)
        if rest is not None or len(pieces) > 1:
            return streamed(call.request, JSON, document)
        return compressed(call.request, Response(200, [("content-type", JSON)], b"".join(document)))

    async def many(self, call: Call, page: Page) -> Response:
        """A page of a list. StatusError 406."""
        form = _negotiated(call, collection=True)
        if form.transform == "PartialObjectMetadata":
            raise is_a_list(form.transform, types.internal_name(_list_kind(call)))
        if form.media_type == JSON and not form.transform:
            wanted = self.stored_version(call)
            bodies = [one.body if one.written_in(wanted) else self.item(call, one) for one in page.items]
            body = b"".join(_list_document(_list_head(call, page), [b",".join([b"", *bodies])], None))
            return self._json(call.request, body, 200, form)
        document, name, shown = self._unfilled(call, page, form)
        together = name == "rows" and table.depends_on_others(call.definition)
        if page.items and form.media_type == JSON and not together and not self._pretty(call.request, form):
            body = json_codec.dumps(document)[:-2] + await self._in_turns(call, page, shown) + b"]}"
            return self._json(call.request, body, 200, form)
        objects: list[Object] = []
        for start in range(0, len(page.items), ITEMS_A_TURN):
            objects += [self.object(call, stored) for stored in page.items[start : start + ITEMS_A_TURN]]
            await trio.lowlevel.checkpoint()
        document[name] = shown(objects)
        if form.transform and name == "items" and not objects:
            document[name] = None
        return self._document(call.request, document, form, 200)

    def _unfilled(self, call: Call, page: Page, form: Negotiated) -> tuple[Object, str, Shown]:
        """A list or Table without its items, the name of these, which comes last, and what makes them of objects."""
        definition, version = call.definition, call.version
        meta = _list_meta(call, page, form.transform)
        if form.transform == "Table":
            include, now = _included(call.request), self.now(call.request)
            document = table.document(version, form.version, meta, [])
            return document, "rows", lambda some: table.rows(definition, version, some, now, include, form.version)
        if form.transform:
            kind, group_version = "PartialObjectMetadataList", f"meta.k8s.io/{form.version}"
        else:
            kind, group_version = definition.list_kind, version.kind.api_version
        document = {"kind": kind, "apiVersion": group_version, "metadata": meta, "items": []}
        if form.transform:
            return document, "items", lambda some: [table.partial(definition, one, form.version) for one in some]
        return document, "items", lambda some: some if definition.custom else [_untyped(one) for one in some]

    async def _in_turns(self, call: Call, page: Page, shown: Shown) -> bytes:
        """What `shown` makes of a page's objects as JSON, a comma between them; others have their turn in between."""
        pieces = []
        for start in range(0, len(page.items), ITEMS_A_TURN):
            objects = [self.object(call, stored) for stored in page.items[start : start + ITEMS_A_TURN]]
            pieces.append(json_codec.dumps(shown(objects))[1:-1])
            await trio.lowlevel.checkpoint()
        return b",".join(pieces)

    def row(self, call: Call, obj: Object, meta_version: str) -> Object:
        include = _included(call.request)
        return table.row(call.definition, call.version, obj, self.now(call.request), include, meta_version)

    # --- watches --------------------------------------------------------------------------------------------------
    def frames(self, call: Call) -> Frames:
        """What turns watch events into bytes. StatusError 406."""
        accept = call.request.headers.get("accept")
        return Frames(self, call, negotiate_watch(accept, custom=call.definition.custom))

    # --- statuses and bytes ---------------------------------------------------------------------------------------
    def status(self, request: Request, status: Object, code: int) -> Response:
        """A Status as an answer in its own right. StatusError 406."""
        form = negotiate(request.headers.get("accept"))
        return self._document(request, status, form._replace(transform=""), code)

    def refusal(self, request: Request, error: StatusError) -> Response:
        """A StatusError as an answer: in JSON when what the client accepts cannot be made out."""
        form = negotiate_error(request.headers.get("accept"))._replace(transform="")
        return self._document(request, error.status(), form, error.code)

    def _document(self, request: Request, obj: Object, form: Negotiated, code: int) -> Response:
        if form.media_type == JSON:
            return self._json(request, json_codec.dumps(obj), code, form)
        body = encoded(obj, form.media_type)
        return compressed(request, Response(code, [("content-type", form.media_type)], body))

    def _pretty(self, request: Request, form: Negotiated) -> bool:
        if form.pretty:
            return True
        if "pretty" in request.query:
            return wants_pretty(text(query_of(request), "pretty"), request.headers.get("user-agent"))
        return request.headers.known(_for_eyes)

    def _json(self, request: Request, body: bytes, code: int, form: Negotiated) -> Response:
        if self._pretty(request, form):
            body = json_codec.dumps_pretty(orjson.loads(body))
        elif not body.endswith(b"\n"):
            body += b"\n"
        response = Response(code, [_IS_JSON], body)
        return compressed(request, response) if len(body) >= GZIP_FROM_BYTES else response


class Frames:
    """The frames of one watch."""

    def __init__(self, encoder: Encoder, call: Call, form: Negotiated) -> None:
        self.encoder, self.call, self.form = encoder, call, form
        self.content_type = watch_content_type(form.media_type)
        self._columns_told = False
        self._shared = form.transform != "Table"
        self._key = (call.version.kind, form.media_type, form.transform, form.version)

    def event(self, event: WatchEvent) -> bytes:
        """One event; equal frames of a change are made once for all watchers."""
        item = event.item
        if item is None or not self._shared:
            return self._frame(event)
        key = (event.type, *self._key)
        frame = item.frames.get(key)
        if frame is None:
            frame = item.frames[key] = self._frame(event)
        return frame

    def made(self, event: WatchEvent) -> bool:
        """Whether another watcher has had the frame of this event made."""
        return self._shared and event.item is not None and (event.type, *self._key) in event.item.frames

    def alike(self) -> Hashable:
        """Equal for watches of a resource whose frames are the same from now on."""
        if self.form.transform != "Table":
            return self._key
        return (*self._key, _included(self.call.request)) if self._columns_told else object()

    def error(self, error: StatusError) -> bytes:
        return self._made("ERROR", error.status())

    def _frame(self, event: WatchEvent) -> bytes:
        stored, call = event.stored, self.call
        if stored is None:
            return self._made(event.type, self._bookmark(event))
        plain = self.form.media_type == JSON and not self.form.transform
        if plain and stored.api_version == call.version.kind.api_version and not call.definition.custom:
            prefix = prefix_of(stored.api_version, stored.kind)
            return b'{"type":"%b","object":%b%b}\n' % (event.type.encode(), prefix, stored.body[1:])
        obj = self.encoder.object(call, stored)
        if self.form.transform == "Table":
            obj = self._table(obj)
        elif self.form.transform:
            obj = table.partial(call.definition, obj, self.form.version)
        return self._made(event.type, obj)

    def _table(self, obj: Object) -> Object:
        """One row; only the first frame of a watch tells the columns."""
        meta = _only(obj["metadata"], "resourceVersion")
        rows = [self.encoder.row(self.call, obj, self.form.version)]
        shown = table.document(self.call.version, self.form.version, meta, rows)
        if self._columns_told:
            shown["columnDefinitions"] = None
        self._columns_told = True
        return shown

    def _bookmark(self, event: WatchEvent) -> Object:
        metadata: Object = {"resourceVersion": str(event.revision)}
        if not self.call.definition.custom:
            metadata["creationTimestamp"] = None
        if event.initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind = self.call.version.kind
        if self.form.transform == "Table":
            return table.document(self.call.version, self.form.version, metadata, [])
        if self.form.transform:
            return {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{self.form.version}",
                "metadata": metadata,
            }
        return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}

    def _made(self, type: str, obj: Object) -> bytes:
        if self.form.media_type == PROTOBUF:
            return protobuf.watch_frame(type, encoded(obj, PROTOBUF))
        return b'{"type":"%b","object":%b}\n' % (type.encode(), json_codec.dumps(obj))


def _with_prefix(prefix: bytes, body: bytes) -> bytes:
    """A stored body as the answer to a GET, line end included: one copy, where a copy takes longer than a view."""
    if len(body) < LARGE_BODY_BYTES:
        return prefix + body[1:] + b"\n"
    with memoryview(body) as view:
        return b"".join((prefix, view[1:], b"\n"))


def _included(request: Request) -> str:
    """What comes along with the cells of a row. StatusError 400."""
    include = text(query_of(request), "includeObject")
    if include not in ("", "None", "Metadata", "Object"):
        allowed = "must be 'Metadata', 'Object', 'None', or empty"
        why = f"Unable to convert to Table as requested: includeObject: Invalid value: {quoted(include)}: {allowed}"
        raise bad_request(why)
    return include


def encoded(obj: Object, media_type: str) -> bytes:
    """An object with its kind and apiVersion in a format other than JSON. StatusError 406 when it has no such form."""
    if media_type == YAML:
        from ledger.apimachinery import yaml_text

        return yaml_text.dumps(obj)
    if media_type == CBOR:
        return cbor_codec.dumps(obj)
    group, _, version = obj.get("apiVersion", "v1").rpartition("/")
    body = protobuf.encode(GVK(group, version, obj.get("kind", "")), obj)
    if body is None:
        message = (
            "object does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
        )
        raise StatusError(406, "NotAcceptable", message)
    return body


def partial(obj: Object, version: str) -> Object:
    """The PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def compressed(request: Request, response: Response) -> Response:
    """The answer gzipped when it is large and the client takes it; level 1, as the time of many clients is ours."""
    if len(response.body) < GZIP_FROM_BYTES or not _takes_gzip(request):
        return response
    body = memoryview(response.body)
    pieces = (body[start : start + GZIP_FROM_BYTES] for start in range(0, len(body), GZIP_FROM_BYTES))
    response.body = b"".join(_gzipped(pieces))
    response.headers += GZIPPED
    return response


def streamed(request: Request, content_type: str, pieces: Iterator[bytes | memoryview]) -> Response:
    """A large answer that is made while it is sent; gzipped when the client takes that."""
    zipped = _takes_gzip(request)
    chunks = _gzipped(pieces) if zipped else pieces

    async def stream(write: Write) -> None:
        for number, chunk in enumerate(chunks, 1):
            await write(chunk)
            if number % CHUNKS_A_TURN == 0:
                await trio.lowlevel.checkpoint()

    return Response(200, [("content-type", content_type), *(GZIPPED if zipped else ())], stream=stream)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding")


def _gzipped(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _negotiated(call: Call, collection: bool = False) -> Negotiated:
    return call.request.headers.known(_of_custom if call.definition.custom else _of_many if collection else _of_one)


def _of_one(headers: Headers) -> Negotiated:
    return negotiate(headers.get("accept"))


def _of_many(headers: Headers) -> Negotiated:
    return negotiate(headers.get("accept"), streaming_route=True)


def _of_custom(headers: Headers) -> Negotiated:
    return negotiate(headers.get("accept"), routed=False, custom=True)


def _for_eyes(headers: Headers) -> bool:
    """Whether the client is one that people read the answers of."""
    return wants_pretty(None, headers.get("user-agent"))


def _list_meta(call: Call, page: Page, transform: str) -> Object:
    meta: Object = {"resourceVersion": str(page.revision)}
    if call.definition.custom and not transform:
        meta["continue"] = ""
    if page.continue_:
        meta["continue"] = page.continue_
        if page.remaining is not None:
            meta["remainingItemCount"] = page.remaining
    return meta


def _list_head(call: Call, page: Page) -> bytes:
    """A list as JSON up to its first item."""
    return b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        call.definition.list_kind.encode(),
        call.version.kind.api_version.encode(),
        orjson.dumps(_list_meta(call, page, "")),
    )


def _list_document(head: bytes, pieces: list[bytes], rest: Iterator[bytes] | None) -> Iterator[bytes | memoryview]:
    """A list as it is sent, piece by piece; `pieces` is used up. A large piece is not copied once more."""
    pieces.reverse()
    first = pieces.pop()
    if len(first) < LARGE_PIECE_BYTES:
        yield head + first[1:]
    else:
        yield head
        yield memoryview(first)[1:]
    del first
    while pieces:
        yield pieces.pop()
    if rest is not None:
        yield from rest
    yield b"]}\n"


def _list_kind(call: Call) -> GVK:
    return call.version.kind._replace(kind=call.definition.list_kind)


def _untyped(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in ("kind", "apiVersion")}


def _only(metadata: dict[str, Any], *names: str) -> Object:
    return {name: metadata[name] for name in names if name in metadata}
