"""Everything that is no resource: discovery, OpenAPI, version, health, metrics, pages; by exact path or by prefix."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from ledger.apimachinery.http import Handler, Request, Response

Maybe = Callable[[Request], Awaitable[Response | None]]


class Paths:
    """`exact`: path without a trailing slash -> handler; `prefixes`: first segment -> handler, None for not found."""

    def __init__(self, exact: Mapping[str, Handler], prefixes: Mapping[str, Maybe]) -> None:
        self.exact, self.prefixes = exact, prefixes

    async def __call__(self, request: Request) -> Response:
        assert request.info is not None
        path = request.info.path
        handler = self.exact.get(path.rstrip("/") or "/")
        if handler is not None:
            return await handler(request)
        prefix = self.prefixes.get(path.split("/", 2)[1] if path.startswith("/") else path)
        answer = await prefix(request) if prefix is not None else None
        return answer if answer is not None else page_not_found()


def page_not_found() -> Response:
    return plain_text(404, "404 page not found")


def plain_text(code: int, text: str) -> Response:
    """Go's http.Error."""
    headers = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]
    return Response(code, headers, text.encode() + b"\n")
