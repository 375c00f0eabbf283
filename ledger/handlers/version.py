"""/version: which Kubernetes this server speaks."""

from __future__ import annotations

import platform

from ledger.apimachinery import json_codec
from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.negotiation import JSON
from ledger.handlers.documents import check_route
from ledger.scheme.data_files import load_json


def version_handler() -> Handler:
    """Always indented, as upstream. Raises StatusError 405, 406."""
    made_by = {"goVersion": f"python{platform.python_version()}", "compiler": platform.python_implementation().lower()}
    body = json_codec.dumps_pretty(load_json("version.json") | made_by)

    async def version(request: Request) -> Response:
        check_route(request, [JSON])
        return Response(200, [("content-type", JSON)], body)

    return version
