"""/openapi/v2, /openapi/v3 and /openapi/v3/DOCUMENT.

Follows kube-openapi pkg/handler and pkg/handler3: the address of a v3 document carries its hash, under which it may be
cached for ever; an outdated hash is redirected to today's.
"""

from __future__ import annotations

import datetime
import functools
import gzip
from collections.abc import Callable

import trio

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.negotiation import JSON
from ledger.handlers.documents import TEXT, accepted
from ledger.registry.options import query_of
from ledger.scheme import openapi, openapi_v2
from ledger.scheme.scheme import Scheme

_YEAR_S = 365 * 24 * 3600


def openapi_handler(scheme: Callable[[Request], Scheme]) -> Handler:
    """Answers whatever is under /openapi. The first request after a change of the scheme builds the document."""

    async def describe(request: Request) -> Response:
        assert request.info is not None
        path, now = request.info.path, scheme(request)
        if path == "/openapi/v2":
            return await _v2(request, now)
        if path == "/openapi/v3":
            body = await trio.to_thread.run_sync(openapi.index, now)
            return Response(200, [("content-type", "text/plain; charset=utf-8")], body)
        if path.startswith("/openapi/v3/"):
            return await _v3(request, now, path.removeprefix("/openapi/v3/"))
        return Response(404, TEXT, b"404 page not found\n")

    return describe


# What /openapi/v2 is asked for, and the function that makes it; the name with an @ is an older one for the same.
_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V2_FORMATS = {
    JSON: (JSON, openapi_v2.swagger),
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": (_PROTOBUF, openapi_v2.gnostic),
    _PROTOBUF: (_PROTOBUF, openapi_v2.gnostic),
}


async def _v2(request: Request, scheme: Scheme) -> Response:
    vary = [("vary", "Accept-Encoding"), ("vary", "Accept")]
    for clause in accepted(request):
        for asked, (media_type, make) in _V2_FORMATS.items():
            if clause.names(asked):
                found = await trio.to_thread.run_sync(make, scheme)
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
