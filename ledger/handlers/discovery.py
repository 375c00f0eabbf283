"""/api, /apis, /apis/GROUP, /api/v1 and /apis/GROUP/VERSION, plain or aggregated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.resource import Object
from ledger.handlers.documents import (
    FORMATS,
    TEXT,
    Clause,
    Protobuf,
    accepts_any,
    answer,
    not_acceptable,
    parse_accept,
    refused_by_router,
)
from ledger.handlers.routes import not_allowed, unknown
from ledger.scheme import discovery
from ledger.scheme.scheme import Scheme

AGGREGATED = {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}
_AS = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def discovery_handler(scheme: Callable[[], Scheme], server_address: str, protobuf: Protobuf | None = None) -> Handler:
    """Answers every path with at most three segments under /api or /apis.

    `server_address`: the host:port in /api. Raises StatusError 404, 405, 406; an unknown group is a plain-text 404.
    """

    async def discover(request: Request) -> Response:
        assert request.info is not None
        segments = request.info.path.removesuffix("/").split("/")[1:]
        formats = FORMATS if protobuf is not None else FORMATS[:2]
        now = scheme()
        if len(segments) == 1:
            if segments[0] == "api":
                check(request)
                return root(request, now, discovery.api_versions(server_address), True, formats)
            return root(request, now, discovery.api_group_list(now), False, formats)
        document = below(request, now, segments)
        if document is None:
            return Response(404, TEXT, b"404 page not found\n")
        media_type, _ = negotiate(request, formats)
        return answer(request, media_type, document, protobuf)

    def root(request: Request, now: Scheme, plain: Object, core: bool, formats: Sequence[str]) -> Response:
        media_type, clause = negotiate(request, formats, aggregated=True)
        if not is_aggregated(clause):
            return answer(request, media_type, plain, protobuf)
        document, etag = discovery.aggregated(now, core)
        headers = [("etag", f'"{etag}"'), ("vary", "Accept"), ("cache-control", "public")]
        if request.headers.get("if-none-match") == f'"{etag}"':
            return Response(304, headers)
        response = answer(request, media_type, document, protobuf, _AS)
        response.headers += headers
        return response

    return discover


def below(request: Request, scheme: Scheme, segments: list[str]) -> Object | None:
    """The document of a group or a group-version; None: the group does not exist."""
    if segments[0] == "apis" and len(segments) == 2:
        group = scheme.group(segments[1])
        return discovery.api_group(group) if group else None
    check(request)
    group_name, version = ("", segments[1]) if segments[0] == "api" else (segments[1], segments[2])
    if scheme.group(group_name) is None:
        return None
    document = discovery.api_resource_list(scheme, group_name, version)
    if document is None:
        raise unknown()
    return document


def check(request: Request) -> None:
    """What the router in front refuses: another method than GET, a type that no representation has."""
    if request.method != "GET":
        raise not_allowed()
    if not accepts_any(request.headers.get("accept"), FORMATS):
        raise refused_by_router(FORMATS)


def negotiate(request: Request, formats: Sequence[str], aggregated: bool = False) -> tuple[str, Clause]:
    """The media type to answer with and the clause that asked for it. Raises StatusError 406."""
    for clause in parse_accept(request.headers.get("accept") or "*/*"):
        converts = any(name in clause.parameters for name in AGGREGATED)
        if converts and not (aggregated and is_aggregated(clause)):
            continue
        for media_type in formats:
            if clause.names(media_type):
                return media_type, clause
    raise not_acceptable()


def is_aggregated(clause: Clause) -> bool:
    return all(clause.parameters.get(name) == value for name, value in AGGREGATED.items())
