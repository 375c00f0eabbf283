"""The pages under /ledger/: what the log holds and what happened last, for a browser and as JSON.

Quart routes and renders them; resources never come this way. It is imported when a page is first asked for, in a thread,
so that neither the start nor other clients wait for it.
"""

from __future__ import annotations

from typing import Any

import trio

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.times import rfc3339_micro
from ledger.handlers.paths import Maybe
from ledger.log.event import Event
from ledger.projections.store import Store
from ledger.wire.asgi import asgi_handler

API_VERSION = "ledger.dev/v1alpha1"
EVENTS_SHOWN = 50

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ledger</title>
<style>body{font:14px sans-serif;margin:2em} td,th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top}</style>
<h1>ledger</h1>
<p>Revision {{ info.revision }}, {{ info.events }} events{% if info.begins %}, {{ info.begins }} to {{ info.ends }}{% endif
 %}{% if info.readOnly %}, read-only{% endif %}. As JSON: <a href="info">info</a>.</p>
<table><caption>The last {{ info.last|length }} requests, newest first</caption>
<tr><th scope="col">Revision<th scope="col">Time<th scope="col">User<th scope="col">Verb<th scope="col">Code
<th scope="col">URI<th scope="col">Audit id</tr>
{% for one in info.last %}<tr><td>{{ one.revisions|join(", ") or "-" }}<td>{{ one.time }}<td>{{ one.user }}<td>{{ one.verb
 }}<td>{{ one.code }}<td>{{ one.uri }}<td><code>{{ one.auditID }}</code></tr>
{% endfor %}</table></html>
"""
# Names and URIs are whatever clients sent: they are escaped, and nothing on the page may run or load anything.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def pages(store: Store, read_only: bool) -> Maybe:
    """Answers /ledger/ and what is below it. There is no page of a moment: /at/MOMENT/ledger/ is not found."""
    made: list[Handler] = []
    making = trio.Lock()

    async def answer(request: Request) -> Response | None:
        if request.info is not None and request.info.moment:
            return None
        async with making:
            if not made:
                made.append(asgi_handler(await trio.to_thread.run_sync(application, store, read_only)))
        return await made[0](request)

    return answer


def application(store: Store, read_only: bool) -> Any:
    """The Quart application."""
    from quart import render_template_string
    from quart_trio import QuartTrio

    app = QuartTrio("ledger", static_folder=None)

    @app.get("/ledger/")
    async def page() -> tuple[str, dict[str, str]]:
        return await render_template_string(PAGE, info=describe(store, read_only)), HEADERS

    @app.get("/ledger/info")
    async def info() -> tuple[dict[str, Any], dict[str, str]]:
        return describe(store, read_only), HEADERS

    return app


def describe(store: Store, read_only: bool) -> dict[str, Any]:
    """The log in short; `last` holds its last events, newest first."""
    position, span = store.last_position(), store.span()
    last = list(store.events(max(0, position - EVENTS_SHOWN), EVENTS_SHOWN))
    return {
        "apiVersion": API_VERSION,
        "kind": "LedgerInfo",
        "revision": store.head(),
        "events": position,
        "begins": rfc3339_micro(span[0]) if span else None,
        "ends": rfc3339_micro(span[1]) if span else None,
        "readOnly": read_only,
        "last": [_row(event) for event in reversed(last)],
    }


def _row(event: Event) -> dict[str, Any]:
    return {
        "auditID": event.audit_id,
        "time": rfc3339_micro(event.answered),
        "user": (event.impersonated or event.user).name,
        "verb": event.verb,
        "uri": event.uri,
        "code": event.code,
        "revisions": list(event.revisions),
        "count": event.count,
    }
