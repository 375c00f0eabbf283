"""Admission of connections: exec, attach, port-forward and proxying, whose object are the options in the query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import GVK, Object
from ledger.handlers.api import Api
from ledger.registry.options import Query, query_of
from ledger.registry.registry import Call
from ledger.scheme import types

Verb = Callable[[Api, Call], Awaitable[Response]]


def connecting(handler: Verb) -> Verb:
    """The handler, once admission lets the connection pass (ConnectResource in k8s.io/apiserver)."""

    async def connected(api: Api, call: Call) -> Response:
        kind = call.version.subresources[call.subresource].kind
        await api.registry.admit(call, "CONNECT", options_of(call, kind), {})
        return await handler(api, call)

    return connected


def options_of(call: Call, kind: GVK) -> Object:
    """The query as an object of this kind, such as PodExecOptions; of a proxied path what follows `proxy`."""
    query: Query = dict(query_of(call.request))
    info = call.request.info
    if info is not None and info.subresource == "proxy" and len(info.parts) > 3:
        query["path"] = ["/".join(info.parts[3:])]
    options: Object = {"kind": kind.kind, "apiVersion": kind.api_version}
    type_id = types.type_of(kind)
    fields = types.flat_fields(type_id) if type_id is not None else ()
    for field, _ in fields:
        if field.json not in ("kind", "apiVersion") and field.json in query:
            value = _value(field.type, query[field.json])
            if value or not field.omit_empty:
                options[field.json] = value
    return options


def _value(expression: str, given: list[str]) -> Any:
    """Query values as Go's conversions read them (runtime/conversion.go in k8s.io/apimachinery)."""
    if expression == "bool":
        return given[0].lower() not in ("false", "0")
    if expression == "[]string":
        return given
    if expression == "[]int32":
        return [int(one) for text in given for one in text.split(",") if one.isdigit()]
    return given[0]
