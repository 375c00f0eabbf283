"""Continue tokens: where the next page of a list begins, at which revision, and how many objects are left.

Tokens expire (clients and the conformance suite count on it); only /at/ and resourceVersionMatch=Exact reach further back.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any

from ledger.apimachinery.status import StatusError, bad_request, gone
from ledger.projections.api import Place

CONTINUE_LIFETIME_S = 300
TOKEN_VERSION = "meta.k8s.io/v1"
NOT_BASE64 = re.compile("[^A-Za-z0-9_-]")
EXPIRED_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Token:
    """`left`: how many objects follow; None where nobody counted them."""

    revision: int  # -1: whatever is current
    start: str  # "namespace/name" after which the page begins
    issued: int  # seconds since 1970
    left: int | None = None

    @property
    def after(self) -> Place:
        namespace, _, name = self.start.rpartition("/")
        return namespace, name


def encode_token(token: Token) -> str:
    value = {"v": TOKEN_VERSION, "rv": token.revision, "start": token.start, "t": token.issued}
    if token.left is not None:
        value["left"] = token.left
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decode_token(text: str, now_s: int) -> Token:
    """Raises StatusError 400 for what is none of ours, 410 for one that has expired."""
    token = _decode(text)
    if token.revision >= 0 and now_s - token.issued > CONTINUE_LIFETIME_S:
        error = gone(EXPIRED_TOKEN)
        error.list_meta = {"continue": encode_token(Token(-1, token.start, now_s))}
        raise error
    return token


def _decode(text: str) -> Token:
    """Raises StatusError 400 for what is no token of this server (DecodeContinue of k8s.io/apiserver/pkg/storage)."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        odd = NOT_BASE64.search(text)
        raise _invalid_token(f": illegal base64 data at input byte {odd.start() if odd else len(text) - 1}") from None
    try:
        value: Any = json.loads(raw.decode("latin-1"))
        version, token = value["v"], Token(int(value["rv"]), str(value["start"]), int(value.get("t", 0)), _left(value))
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = json.dumps(raw[:1].decode("latin-1"))[1:-1].replace('\\"', '"') if raw else ""
        why = f"invalid character '{shown}' looking for beginning of value" if raw else "unexpected end of JSON input"
        raise _invalid_token(f": {why}") from None
    if version != TOKEN_VERSION:
        raise _invalid_token(f": server does not recognize this encoded version {version}")
    if not token.revision:
        raise _invalid_token(f": incorrect encoded start resourceVersion (version {TOKEN_VERSION})")
    if not token.start:
        raise _invalid_token(f": encoded start key empty (version {TOKEN_VERSION})")
    absolute = token.start if token.start.startswith("/") else f"/{token.start}"
    if posixpath.normpath(absolute) != absolute:
        raise _invalid_token(f": {token.start}")
    return token


def _invalid_token(why: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid{why}")


def _left(value: dict[str, Any]) -> int | None:
    left = value.get("left")
    return left if isinstance(left, int) and left >= 0 else None
