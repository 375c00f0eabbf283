"""Answering with a document that is no stored object: discovery, versions, OpenAPI.

Which format, by the rules of k8s.io/apiserver pkg/endpoints/handlers/negotiation and of go-restful in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.apimachinery import json_codec
from ledger.apimachinery.http import Request, Response
from ledger.apimachinery.negotiation import (
    BUILTIN,
    PROTOBUF,
    YAML,
    clauses,
    not_acceptable_by_router,
    wants_pretty,
)
from ledger.apimachinery.resource import GVK, Object
from ledger.handlers.routes import not_allowed
from ledger.registry.options import query_of
from ledger.scheme import protobuf

TEXT = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]


class Clause(NamedTuple):
    """One media type of an Accept header."""

    main: str
    sub: str
    parameters: dict[str, str]

    def names(self, media_type: str) -> bool:
        main, _, sub = media_type.partition("/")
        return self.main in (main, "*") and self.sub in (sub, "*")


def accepted(request: Request) -> list[Clause]:
    """The clauses of the Accept header, best first; anything goes where there is none."""
    header = request.headers.get("accept") or "*/*"
    return [Clause(main, sub, dict(parameters)) for main, sub, parameters in clauses(header)]


def check_route(request: Request, formats: Sequence[str] = BUILTIN) -> None:
    """What the router refuses before a handler is asked: StatusError 405 for all but GET, 406 for unknown types."""
    if request.method != "GET":
        raise not_allowed()
    if not any(clause.names(one) for clause in accepted(request) for one in formats):
        raise not_acceptable_by_router(formats)


def answer(request: Request, media_type: str, document: Object, parameters: str = "") -> Response:
    """The document in this format. `parameters` are added to the content type."""
    if media_type == PROTOBUF:
        body = _protobuf(document)
    elif media_type == YAML:
        from ledger.apimachinery import yaml_text

        body = yaml_text.dumps(document)
    elif wants_pretty(query_of(request).get("pretty", [""])[0], request.headers.get("user-agent")):
        body = json_codec.dumps_pretty(document)
    else:
        body = json_codec.dumps(document)
    return Response(200, [("content-type", media_type + parameters)], body)


def _protobuf(document: Object) -> bytes:
    """In the envelope; a document of the core group's discovery has no apiVersion, but is one of meta/v1."""
    api_version = document.get("apiVersion", "")
    group, _, version = api_version.rpartition("/")
    message = protobuf.encode_message(GVK(group, version or "v1", document["kind"]), document)
    assert message is not None, document["kind"]
    return protobuf.envelope(api_version, document["kind"], message)
