"""/openapi/v2, /openapi/v3 and /openapi/v3/DOCUMENT.

Follows kube-openapi pkg/handler and pkg/handler3: the address of a v3 document carries its hash, under which it may be
cached for ever; an outdated hash is redirected to today's.
"""

from __future__ import annotations

import datetime
import functools
import gzip
from collections.abc import Callable

import orjson
import trio

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.negotiation import JSON
from ledger.handlers.aggregation import Aggregation
from ledger.handlers.documents import TEXT, accepted
from ledger.registry.options import query_of
from ledger.scheme import openapi, openapi_v2
from ledger.scheme.scheme import Scheme

_YEAR_S = 365 * 24 * 3600


def openapi_handler(scheme: Callable[[Request], Scheme], aggregation: Aggregation | None = None) -> Handler:
    """Answers whatever is under /openapi. The first request after a change of the scheme builds the document.

    What extension servers publish is part of it, but for requests about the past.
    """
    merged = openapi_v2.Merged()

    async def describe(request: Request) -> Response:
        assert request.info is not None
        path, now = request.info.path, scheme(request)
        others = None if aggregation is None or request.info.moment else aggregation
        services = None if others is None else others.services
        if path == "/openapi/v2":
            documents = () if services is None else tuple(document for _, document in services.documents())
            changes = 0 if services is None else services.changes
            return await _v2(request, lambda form: merged.of(now, form, documents, changes))
        if path == "/openapi/v3":
            body = await trio.to_thread.run_sync(openapi.index, now)
            if services is not None and (addresses := _foreign(services.v3_addresses(), now)):
                body = _with_addresses(body, addresses)
            return Response(200, [("content-type", "text/plain; charset=utf-8")], body)
        if path.startswith("/openapi/v3/"):
            name = path.removeprefix("/openapi/v3/")
            server = None if services is None or name in openapi.names(now) else services.v3_server(name)
            if others is not None and server is not None:
                return await others(request, server)
            return await _v3(request, now, name)
        return Response(404, TEXT, b"404 page not found\n")

    return describe


# What /openapi/v2 is asked for, and the form that answers it; the name with an @ is an older one for the same.
_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V2_FORMATS = {
    JSON: (JSON, "json"),
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": (_PROTOBUF, "protobuf"),
    _PROTOBUF: (_PROTOBUF, "protobuf"),
}


def _foreign(addresses: dict[str, str], scheme: Scheme) -> dict[str, str]:
    """Without the documents that we have ourselves: no extension server speaks for them."""
    own = set(openapi.names(scheme))
    return {name: url for name, url in addresses.items() if name not in own}


def _with_addresses(index: bytes, addresses: dict[str, str]) -> bytes:
    """The index of v3 documents with those of others."""
    paths = orjson.loads(index)["paths"] | {name: {"serverRelativeURL": url} for name, url in addresses.items()}
    return openapi.go_json({"paths": dict(sorted(paths.items()))})


async def _v2(request: Request, made: Callable[[str], openapi_v2.Swagger]) -> Response:
    vary = [("vary", "Accept-Encoding"), ("vary", "Accept")]
    for clause in accepted(request):
        for asked, (media_type, form) in _V2_FORMATS.items():
            if clause.names(asked):
                found = await trio.to_thread.run_sync(made, form)
                headers = [("content-type", media_type), *vary]
                answer = _unless_known(request, found.etag, headers, found.body)
                if answer.body and "gzip" in request.headers.get("accept-encoding"):
                    answer.body = await trio.to_thread.run_sync(_gzipped, answer.body)
                    answer.headers.append(("content-encoding", "gzip"))
                return answer
    return Response(406, vary)


@functools.lru_cache(maxsize=2)
def _gzipped(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=4, mtime=0)


async def _v3(request: Request, scheme: Scheme, name: str) -> Response:
    found = await trio.to_thread.run_sync(openapi.document, scheme, name)
    if found is None:
        return Response(404)
    if not _takes_json(request):
        return Response(406, [("vary", "Accept")])
    headers = [("content-type", JSON), ("vary", "Accept")]
    asked = query_of(request).get("hash", [""])[0]
    if asked and asked != found.hash:
        etag = ("etag", f'"{found.hash}"')
        return Response(301, [*headers, etag, ("location", openapi.url(name, found.hash))])
    if asked:
        expires = datetime.datetime.fromtimestamp(request.received / 1e6 + _YEAR_S, datetime.UTC)
        headers += [
            ("cache-control", "public, immutable"),
            ("expires", expires.strftime("%a, %d %b %Y %H:%M:%S UTC")),
        ]
    return _unless_known(request, found.hash, headers, found.body)


def _takes_json(request: Request) -> bool:
    return any(clause.names(JSON) for clause in accepted(request))


def _unless_known(request: Request, etag: str, headers: list[tuple[str, str]], body: bytes) -> Response:
    """The document, or 304 where the client has it already."""
    headers = [*headers, ("etag", f'"{etag}"')]
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match").split(",")]
    if f'"{etag}"' in known or "*" in known:
        return Response(304, headers)
    return Response(200, headers, body)
