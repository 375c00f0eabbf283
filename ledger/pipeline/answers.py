"""The answers that filters give themselves: plain text as Go's http.Error sends it, and Status as JSON."""

from __future__ import annotations

import orjson

from ledger.apimachinery.http import Request, Response
from ledger.apimachinery.status import StatusError


def text_error(code: int, text: str, headers: list[tuple[str, str]] | None = None) -> Response:
    """Go's http.Error: text/plain with a final newline, and a header that keeps browsers from guessing."""
    plain = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]
    return Response(code, plain + (headers or []), text.encode() + b"\n")


def json_status(request: Request, error: StatusError) -> Response:
    """A Status as JSON whatever was asked for; the server passes a function that negotiates instead."""
    return Response(error.code, [("content-type", "application/json")], orjson.dumps(error.status()) + b"\n")


def internal_error(request: Request, why: str) -> Response:
    """responsewriters.InternalError: for what goes wrong before anybody knows which API was meant."""
    uri = f"{request.raw_path}?{request.query}" if request.query else request.raw_path
    text = f'Internal Server Error: "{uri}": {why}'
    return text_error(500, text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
