"""/version: which Kubernetes this server speaks."""

from __future__ import annotations

import platform

from ledger.apimachinery.http import Handler, Request, Response
from ledger.handlers.documents import JSON, accepts_any, refused_by_router, to_json
from ledger.handlers.routes import not_allowed
from ledger.scheme.builtin import load_json


def version_handler() -> Handler:
    """Always indented, as upstream. Raises StatusError 405, 406."""
    made_by = {"goVersion": f"python{platform.python_version()}", "compiler": platform.python_implementation().lower()}
    body = to_json(load_json("version.json") | made_by, pretty=True)

    async def version(request: Request) -> Response:
        if request.method != "GET":
            raise not_allowed()
        if not accepts_any(request.headers.get("accept"), [JSON]):
            raise refused_by_router([JSON])
        return Response(200, [("content-type", JSON)], body)

    return version
