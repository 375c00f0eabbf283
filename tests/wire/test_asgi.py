from __future__ import annotations

from quart import Response as QuartResponse
from quart import request as quart_request
from quart_trio import QuartTrio

from ledger.wire.asgi import REQUEST_KEY, asgi_handler
from tests.wire.wire_server import run, serving


def pages() -> QuartTrio:
    app = QuartTrio("pages")

    @app.get("/page/<name>")
    async def page(name: str) -> str:
        return f"page {name} {quart_request.args.get('q')}"

    @app.post("/form")
    async def form() -> QuartResponse:
        client = quart_request.scope["extensions"][REQUEST_KEY].client
        return QuartResponse(client.encode() + b" " + await quart_request.get_data(), headers={"X-Page": "1"})

    @app.get("/fails")
    async def fails() -> str:
        raise ValueError("a bug in a page")

    return app


def test_a_quart_app_serves_pages_through_our_listener() -> None:
    async def test() -> None:
        async with serving(asgi_handler(pages())) as server, server.http1() as one, server.http2() as two:
            assert (await one.get("/page/a%20b?q=1")).body == b"page a b 1"
            assert (await two.get("/page/a%20b?q=%C3%A9")).body == "page a b é".encode()
            assert (await one.get("/page/x", "HEAD")).status == 200
            assert (await one.get("/nowhere")).status == 404
            assert (await one.get("/fails")).status == 500
            answer = await two.answer(await two.ask("POST", "/form", b"body"))
            assert (answer.headers["x-page"], answer.body) == ("1", b"127.0.0.1 body")

    run(test)
