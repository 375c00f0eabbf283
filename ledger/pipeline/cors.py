"""CORS: lets pages of the allowed origins read answers in a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ledger.apimachinery.http import Handler, Request, Response

_HEADERS = [
    ("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE, PATCH"),
    (
        "access-control-allow-headers",
        "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, "
        "If-Modified-Since",
    ),
    ("access-control-expose-headers", "Date"),
    ("access-control-allow-credentials", "true"),
]


def with_cors(handler: Handler, origins: Sequence[re.Pattern[str]]) -> Handler:
    """Puts the CORS headers on every answer to an allowed origin, refusals included, and answers its preflights.

    A preflight carries no credentials, so it is answered here, before authentication. Other origins pass as if this
    filter were not there: the browser then keeps the answer from the page (WithCORS in k8s.io/apiserver).
    """
    if not origins:
        return handler

    async def shared(request: Request) -> Response:
        origin = request.headers.get("origin")
        if not origin or not any(pattern.search(origin) for pattern in origins):
            return await handler(request)
        request.response_headers += [("access-control-allow-origin", origin), *_HEADERS]
        if request.method == "OPTIONS":
            return Response(204)
        return await handler(request)

    return shared


def compile_origins(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    """The regular expressions of --cors-allowed-origins. Raises ValueError with a line for each that is not good.

    Each must be pinned at both ends (`^` or `//`, and `$` or `:`, anywhere in it), or `example.com` would also let in
    `example.com.evil.org` (validateCorsAllowedOriginList in k8s.io/apiserver, CVE-2022-1996).
    """
    compiled, errors = [], []
    for pattern in patterns:
        if not pattern:
            errors.append("empty value in --cors-allowed-origins")
            continue
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            errors.append(f"--cors-allowed-origins has an invalid regular expression: {pattern!r}: {error}")
            continue
        if not any(mark in pattern for mark in ("^", "//")) or not any(mark in pattern for mark in ("$", ":")):
            errors.append(
                f"--cors-allowed-origins has an invalid regular expression: {pattern!r}: regular expression does not "
                "pin to start/end of host in the origin header"
            )
    if errors:
        raise ValueError("\n".join(errors))
    return compiled
