"""/ and /index.html: the paths this server has."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ledger.apimachinery import json_codec
from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.negotiation import JSON
from ledger.scheme.scheme import Scheme


def root_handler(scheme: Callable[[Request], Scheme], other_paths: Callable[[], Iterable[str]]) -> Handler:
    """Answers any method. `other_paths`: what there is beside the API groups ("/healthz", "/metrics", ...)."""

    async def root(request: Request) -> Response:
        paths = sorted({*api_paths(scheme(request)), *other_paths()})
        return Response(200, [("content-type", JSON)], json_codec.dumps_pretty({"paths": paths}))

    return root


def api_paths(scheme: Scheme) -> Iterable[str]:
    """/api, /apis and every group and version below."""
    yield from ("/api", "/apis", "/apis/", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version")
    for group in scheme.groups():
        prefix = f"/apis/{group.name}" if group.name else "/api"
        yield prefix
        yield from (f"{prefix}/{version}" for version in group.versions)
