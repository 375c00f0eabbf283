"""Answering with a document that is no stored object: discovery, versions, OpenAPI.

Which format, by the rules of k8s.io/apiserver pkg/endpoints/handlers/negotiation and of go-restful in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
import yaml

from ledger.apimachinery.http import Request, Response
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError

TEXT = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
FORMATS = (JSON, YAML, PROTOBUF)
Protobuf = Callable[[Object], bytes]  # the object in its protobuf envelope
_TRUE = {"1", "t", "T", "TRUE", "true", "True"}


class Clause(NamedTuple):
    """One media type of an Accept header."""

    media_type: str  # "application/json", "*/*"
    parameters: dict[str, str]  # without q
    quality: float = 1.0

    def names(self, media_type: str) -> bool:
        kind = media_type.partition("/")[0]
        return self.media_type in (media_type, f"{kind}/*", "*/*")


def parse_accept(header: str) -> list[Clause]:
    """The clauses of an Accept header, best first; malformed ones are left out, as goautoneg does."""
    clauses = []
    for part in header.split(","):
        media_type, *parameters = (one.strip() for one in part.split(";"))
        if media_type == "*":
            media_type = "*/*"
        if media_type.count("/") != 1:
            continue
        pairs = {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in parameters)}
        quality = _quality(pairs.pop("q", "1"))
        clauses.append(Clause(media_type, pairs, quality))
    return sorted(clauses, key=lambda one: (-one.quality, one.media_type.startswith("*"), one.media_type.endswith("*")))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def not_acceptable(formats: Sequence[str] = FORMATS) -> StatusError:
    message = f"only the following media types are accepted: {', '.join(formats)}"
    return StatusError(406, "NotAcceptable", message)


def refused_by_router(formats: Sequence[str]) -> StatusError:
    """406 as go-restful words it, which looks at the type alone before the handler looks at its parameters."""
    message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(formats)}"
    return StatusError(406, "NotAcceptable", message, {})


def accepts_any(header: str, formats: Sequence[str]) -> bool:
    """Whether go-restful would let the request through to a handler that makes these formats."""
    clauses = parse_accept(header or "*/*")
    return any(clause.names(one) for clause in clauses for one in formats)


def wants_pretty(request: Request) -> bool:
    """Indented JSON: ?pretty=, or the client is curl, wget or a browser."""
    found = re.search(r"(?:\A|&)pretty=([^&]+)", request.query)
    if found:
        return found[1] in _TRUE
    return request.headers.get("user-agent").startswith(("curl", "Wget", "Mozilla/5.0"))


def to_json(document: Any, pretty: bool) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 if pretty else 0)


def to_yaml(document: Any) -> bytes:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=1 << 30).encode()


class _Dumper(yaml.CSafeDumper):
    """Without anchors: discovery mentions the same list twice, Go writes it twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def answer(
    request: Request, media_type: str, document: Object, protobuf: Protobuf | None, parameters: str = ""
) -> Response:
    """The document in this format. `parameters` are added to the content type."""
    if media_type == PROTOBUF:
        assert protobuf is not None
        body = protobuf(document)
    elif media_type == YAML:
        body = to_yaml(document)
    else:
        body = to_json(document, wants_pretty(request))
    return Response(200, [("content-type", media_type + parameters)], body)
