"""Calls over real sockets and TLS: what comes back, what is kept, and what a failure is called."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from ledger.apimachinery.status import StatusError
from ledger.outbound import answers
from ledger.outbound.caller import Caller
from ledger.outbound.client import Answer, Client, Timeout
from ledger.outbound.dialing import abort
from ledger.outbound.endpoint import Endpoint, Misconfigured, endpoint_of
from ledger.outbound.refusal import CallFailed
from tests.webhook_server import WebhookServer, allow

QUICK = Timeout(10)


def nowhere(_: object) -> tuple[str, int]:
    raise CallFailed('no endpoints available for service "web"')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with WebhookServer(tmp_path_factory.mktemp("hook"), "web.ns.svc") as running:
        running.answers["/"] = running.answers["/path"] = allow
        yield running


def posts(client: Client, endpoint: Endpoint, count: int = 1, **how: Any) -> list[Answer | str]:
    """What so many calls one after the other give; the text of those that fail."""
    found: list[Answer | str] = []

    async def main() -> None:
        for _ in range(count):
            try:
                found.append(await client.post(endpoint, b'{"kind":"K","apiVersion":"v1"}', how.get("timeout", QUICK)))
            except CallFailed as failed:
                found.append(str(failed))
        client._caller.close()

    trio.run(main)
    return found


def only(client: Client, endpoint: Endpoint, **how: Any) -> Answer | str:
    return posts(client, endpoint, **how)[0]


@pytest.mark.parametrize("config, url, host, port, path", [
    ({"url": "https://hook.io"}, "https://hook.io/", "hook.io", 443, "/"),
    ({"url": "https://hook.io:8443/a/../b//c/"}, "https://hook.io:8443/b/c", "hook.io", 8443, "/b/c"),
    ({"url": "https://[::1]:8443/x"}, "https://[::1]:8443/x", "::1", 8443, "/x"),
    ({"service": {"namespace": "ns", "name": "web"}}, "https://web.ns.svc:443/", "web.ns.svc", 443, "/"),
    ({"service": {"namespace": "ns", "name": "web", "port": 8, "path": "/p"}}, "https://web.ns.svc:8/p", "web.ns.svc", 8, "/p"),
])  # fmt: skip
def test_where_a_configuration_leads(config: dict[str, Any], url: str, host: str, port: int, path: str) -> None:
    found = endpoint_of(config)
    assert (found.url, found.host, found.port, found.path) == (url, host, port, path)


@pytest.mark.parametrize("config", [{}, {"url": "http://hook.io"}, {"url": "https://hook.io:none"}])
def test_what_leads_nowhere(config: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        endpoint_of(config)


def test_one_connection_serves_many_calls(server: WebhookServer) -> None:
    before = server.connections
    found = posts(Client(Caller(), nowhere), endpoint_of(server.client_config("/path")), 3)
    assert [one.status for one in found if isinstance(one, Answer)] == [200, 200, 200]
    assert server.connections == before + 1
    assert server.asked[-1][0] == "/path?timeout=10s"


def test_a_service_is_reached_at_its_address_under_its_own_name(server: WebhookServer) -> None:
    asked = []

    def resolve(wanted: object) -> tuple[str, int]:
        asked.append(wanted)
        return "127.0.0.1", server.port

    config = {"service": {"namespace": "ns", "name": "web"}, "caBundle": base64.b64encode(server.ca).decode()}
    found = only(Client(Caller(), resolve), endpoint_of(config))
    assert isinstance(found, Answer) and found.status == 200
    assert asked == [("ns", "web", 443)]
    assert only(Client(Caller(), nowhere), endpoint_of(config)) == (
        'Post "https://web.ns.svc:443/?timeout=10s": no endpoints available for service "web"'
    )


def test_a_service_that_moves_gets_a_connection_of_its_own(server: WebhookServer) -> None:
    """An answer over a connection to an old pod would be an old pod's answer."""
    addresses = [("127.0.0.1", server.port), ("localhost", server.port), ("127.0.0.1", server.port)]
    config = {"service": {"namespace": "ns", "name": "web"}, "caBundle": base64.b64encode(server.ca).decode()}
    before = server.connections
    posts(Client(Caller(), lambda _: addresses.pop()), endpoint_of(config), 3)
    assert server.connections == before + 2


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("endpoint, why", [
    (lambda server, other: Endpoint(f"https://127.0.0.1:{(port := closed_port())}/", "127.0.0.1", port, "/"),
     'dial tcp 127.0.0.1:PORT: connect: connection refused'),
    (lambda server, other: Endpoint(f"https://127.0.0.1:{server.port}/", "127.0.0.1", server.port, "/", other),
     "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
    (lambda server, other: Endpoint("https://x:1/", "127.0.0.1", server.port, "/", b"no certificate"),
     "unable to load root certificates: unable to parse bytes as PEM block"),
])  # fmt: skip
def test_what_a_failed_call_says(
    endpoint: Callable[[WebhookServer, bytes], Endpoint], why: str, server: WebhookServer, tmp_path: Path
) -> None:
    with WebhookServer(tmp_path) as other:
        made = endpoint(server, other.ca)
        found = only(Client(Caller(), nowhere), made)
    assert isinstance(found, str)
    assert why in found.replace(str(made.port), "PORT")


def test_a_certificate_for_other_names_is_refused_by_name(server: WebhookServer) -> None:
    service = {"namespace": "ns", "name": "other"}
    endpoint = endpoint_of({"service": service, "caBundle": base64.b64encode(server.ca).decode()})
    found = only(Client(Caller(), lambda _: ("127.0.0.1", server.port)), endpoint)
    assert isinstance(found, str)
    assert "x509: certificate is valid for" in found and "web.ns.svc" in found and found.endswith("not other.ns.svc")


def test_a_server_without_tls_and_one_that_hangs_up(server: WebhookServer) -> None:
    async def main() -> None:
        async def plain(stream: trio.SocketStream) -> None:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async def hang_up(stream: trio.SocketStream) -> None:
            await stream.receive_some()

        async with trio.open_nursery() as nursery:
            for handler, why in ((plain, "http: server gave HTTP response to HTTPS client"), (hang_up, "EOF")):
                listeners = await nursery.start(trio.serve_tcp, handler, 0)
                port = listeners[0].socket.getsockname()[1]
                with pytest.raises(CallFailed, match=why):
                    await Client(Caller(), nowhere).post(Endpoint("https://x", "127.0.0.1", port, "/"), b"{}", QUICK)
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_call_ends_when_its_time_is_up(server: WebhookServer) -> None:
    server.answers["/slow"] = server.wait
    try:
        endpoint = endpoint_of(server.client_config("/slow"))
        found = only(Client(Caller(), nowhere), endpoint, timeout=Timeout(0.05))
    finally:
        server.released.set()
    assert found == f'Post "https://127.0.0.1:{server.port}/slow?timeout=1s": context deadline exceeded'


def test_a_connection_the_server_closed_meanwhile_is_replaced(server: WebhookServer) -> None:
    """Kept connections end without notice; a call must not fail for that."""

    async def main() -> None:
        client, endpoint = Client(Caller(), nowhere), endpoint_of(server.client_config("/path"))
        await client.post(endpoint, b'{"kind":"K","apiVersion":"v1"}', QUICK)
        abort(next(iter(client._caller._idle))._stream)
        answer = await client.post(endpoint, b'{"kind":"K","apiVersion":"v1"}', QUICK)
        assert answer.status == 200
        client._caller.close()

    trio.run(main)


def test_an_answer_has_a_bound(server: WebhookServer) -> None:
    server.answers["/large"] = lambda _: (200, b"x" * 5000)

    async def main() -> None:
        with pytest.raises(CallFailed, match="too large"):
            await Client(Caller(), nowhere).post(
                endpoint_of(server.client_config("/large")), b'{"kind":"K"}', QUICK, 1000
            )

    trio.run(main)


@pytest.mark.parametrize("answer, why", [
    (Answer(200, "text/plain", b""), "0-length response with status code: 200 and content type: text/plain"),
    (Answer(404, "text/plain", b"nope"), "the server could not find the requested resource"),
    (Answer(301, "text/html", b"moved"), "the server responded with the status code 301 but did not return more information"),
    (Answer(500, "text/plain", b"it\nbroke"), 'an error on the server ("it\\nbroke") has prevented the request from succeeding'),
    (Answer(500, "application/json", b"{}"), 'an error on the server ("unknown") has prevented the request from succeeding'),
    (Answer(403, "application/json", b'{"kind":"Status","status":"Failure","message":"go away"}'), "go away"),
])  # fmt: skip
def test_answers_that_are_no_success(answer: Answer, why: str) -> None:
    with pytest.raises((StatusError, ValueError)) as raised:
        answers.check(answer)
    assert str(raised.value) == why
