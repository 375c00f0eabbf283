"""/api, /apis, /apis/GROUP, /api/v1 and /apis/GROUP/VERSION, plain or aggregated."""

from __future__ import annotations

from collections.abc import Callable

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.negotiation import BUILTIN, not_acceptable
from ledger.apimachinery.resource import Object
from ledger.handlers.documents import TEXT, Clause, accepted, answer, check_route
from ledger.handlers.routes import unknown
from ledger.scheme import discovery, remote
from ledger.scheme.remote import Remotes
from ledger.scheme.scheme import Scheme

AGGREGATED = {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}
_AS = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def discovery_handler(
    scheme: Callable[[Request], Scheme], server_address: str, remotes: Callable[[], Remotes] = tuple
) -> Handler:
    """Answers every path with at most three segments under /api or /apis.

    `scheme`: the kinds of the moment a request asks for. `server_address`: the host:port in /api. `remotes`: what
    extension servers serve, now. Raises StatusError 404, 405, 406; an unknown group is a plain-text 404.
    """

    async def discover(request: Request) -> Response:
        assert request.info is not None
        segments = request.info.path.removesuffix("/").split("/")[1:]
        now, others = scheme(request), () if request.info.moment else remotes()
        if segments == ["api"]:
            check_route(request)
            return _root(request, now, others, discovery.api_versions(server_address), core=True)
        if segments == ["apis"]:
            return _root(request, now, others, remote.group_list(now, others), core=False)
        document = _below(request, now, others, segments)
        if document is None:
            return Response(404, TEXT, b"404 page not found\n")
        media_type, _ = _negotiate(request, aggregated=False)
        return answer(request, media_type, document)

    return discover


def _root(request: Request, scheme: Scheme, remotes: Remotes, plain: Object, core: bool) -> Response:
    media_type, clause = _negotiate(request, aggregated=True)
    if not _is_aggregated(clause):
        return answer(request, media_type, plain)
    document, etag = remote.aggregated(scheme, remotes, core)
    headers = [("etag", f'"{etag}"'), ("vary", "Accept"), ("cache-control", "public")]
    if request.headers.get("if-none-match") == f'"{etag}"':
        return Response(304, headers)
    response = answer(request, media_type, document, _AS)
    response.headers += headers
    return response


def _below(request: Request, scheme: Scheme, remotes: Remotes, segments: list[str]) -> Object | None:
    """The document of a group or a group-version; None: the group does not exist."""
    if segments[0] == "apis" and len(segments) == 2:
        group = remote.group_named(scheme, remotes, segments[1])
        return discovery.api_group(group) if group else None
    group_name, version = ("", segments[1]) if segments[0] == "api" else (segments[1], segments[2])
    if scheme.group(group_name) is None:
        return None
    document = discovery.api_resource_list(scheme, group_name, version)
    if document is None and not scheme.is_custom(group_name):
        raise unknown()
    if document is not None:
        check_route(request)
    return document


def _negotiate(request: Request, aggregated: bool) -> tuple[str, Clause]:
    """The media type to answer with and the clause that asked for it. Raises StatusError 406."""
    for clause in accepted(request):
        converts = any(name in clause.parameters for name in AGGREGATED)
        if converts and not (aggregated and _is_aggregated(clause)):
            continue
        for media_type in BUILTIN:
            if clause.names(media_type):
                return media_type, clause
    raise not_acceptable(BUILTIN)


def _is_aggregated(clause: Clause) -> bool:
    return all(clause.parameters.get(name) == value for name, value in AGGREGATED.items())
