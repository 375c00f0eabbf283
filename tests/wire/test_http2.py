from __future__ import annotations

import pytest
import trio
import trio.testing
from h2.settings import SettingCodes

from ledger.apimachinery.http import Headers, Request, Response, Write
from ledger.wire.http2 import IDLE_TASKS_KEPT, REST_S
from ledger.wire.listener import SWEEP_S
from tests.wire.wire_server import echo, run, serving


@pytest.mark.parametrize(
    "path, method, body, status, expected",
    [
        ("/a%2F?b=%20", "GET",  None,                  200, b"GET /a%2F?b=%20 "),
        ("/a",          "POST", b"hello",              200, b"POST /a? hello"),
        ("/a",          "HEAD", None,                  200, b""),
        ("/stream",     "GET",  None,                  200, b"one two three"),
        ("/stream",     "HEAD", None,                  200, b""),
        ("/status?204", "GET",  None,                  204, b""),
        ("/status?304", "GET",  None,                  304, b""),
        ("/raises",     "GET",  None,                  500, b"500 Internal Server Error: the handler failed"),
        ("/big",        "GET",  None,                  200, bytes(1_000_000)),
        ("/early",      "POST", b"x" * 1000,           401, b"Unauthorized"),
    ],
)  # fmt: skip
def test_requests_are_answered(path: str, method: str, body: bytes | None, status: int, expected: bytes) -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            answer = await client.answer(await client.ask(method, path, body))
            assert (answer.status, answer.body, answer.reset) == (status, expected, None)
            assert "date" in answer.headers
            if expected and not path.startswith("/stream"):
                assert answer.headers["content-length"] == str(len(expected))

    run(test)


def test_a_connection_does_not_freeze_at_any_number_of_requests() -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            for batch in range(25):
                asked = [await client.ask("GET", f"/{batch}-{number}") for number in range(100)]
                for number, stream_id in enumerate(asked):
                    assert (await client.answer(stream_id)).body == f"GET /{batch}-{number}? ".encode()

    run(test)


@pytest.mark.parametrize("size, status", [(3 * 1024 * 1024, 200), (3 * 1024 * 1024 + 1, 413)])
@pytest.mark.parametrize("announced", [True, False])
def test_a_large_body_arrives_through_small_windows_up_to_the_limit(size: int, status: int, announced: bool) -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            length = [(b"content-length", b"%d" % size)] if announced else []
            fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/p"), *length]
            stream_id = await client.headers(*fields, end=False)
            left = size
            while left and stream_id not in client.ended:
                room = min(client.h2.local_flow_control_window(stream_id), 16384, left)
                if room:
                    left -= room
                    client.h2.send_data(stream_id, bytes(room), end_stream=not left)
                    await client.flush()
                else:
                    await client.receive()
            answer = await client.answer(stream_id)
            assert answer.status == status
            assert len(answer.body) == size + 9 if status == 200 else b"limit is 3145728" in answer.body
            assert (await client.get("/next")).status == 200

    run(test)


def test_a_stream_nobody_reads_does_not_hold_up_the_others() -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            client.reading_window = False
            stalled = await client.ask("GET", "/big")
            while client.h2.remote_flow_control_window(stalled) > 0:
                await client.receive()
            client.h2.increment_flow_control_window(1_000_000)  # of the connection, not of the stream
            await client.flush()
            assert (await client.get("/next")).body == b"GET /next? "
            client.h2.increment_flow_control_window(1_000_000, stalled)
            await client.flush()
            assert len((await client.answer(stalled)).body) == 1_000_000

    run(test)


def test_a_stream_that_fails_is_reset_and_not_ended() -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            answer = await client.get("/stream-raises")
            assert (answer.body, answer.reset) == (b"one ", 2)  # INTERNAL_ERROR
            assert (await client.get("/next")).status == 200

    run(test)


@pytest.mark.parametrize("leaving", ["reset", "close"])
def test_a_handler_is_cancelled_when_its_client_leaves(leaving: str) -> None:
    left = trio.Event()

    async def watch(write: Write) -> None:
        try:
            await write(b"first")
            await trio.sleep_forever()
        finally:
            left.set()

    async def handler(request: Request) -> Response:
        return Response(200, [], stream=watch, endless=True) if request.raw_path == "/watch" else await echo(request)

    async def test() -> None:
        async with serving(handler) as server:
            async with server.http2() as client:
                stream_id = await client.ask("GET", "/watch")
                while stream_id not in client.answers or not client.answers[stream_id].body:
                    await client.receive()
                if leaving == "reset":
                    client.h2.reset_stream(stream_id)
                    await client.flush()
                    await left.wait()
                    assert (await client.get("/next")).status == 200
            await left.wait()

    run(test)


def test_more_streams_than_allowed_are_refused_not_queued() -> None:
    release = trio.Event()

    async def handler(request: Request) -> Response:
        await release.wait()
        return Response(200)

    async def test() -> None:
        async with serving(handler, streams_max=10) as server, server.http2() as client:
            asked = [await client.ask("GET", "/") for _ in range(10)]
            client.h2.reset_stream(asked[0])  # makes room in h2's eyes; the handler is cancelled and gone as well
            asked.append(await client.ask("GET", "/"))
            release.set()
            assert [(await client.answer(stream_id)).status for stream_id in asked[1:]] == [200] * 10

    run(test)


def test_an_idle_connection_is_told_before_it_is_closed() -> None:
    async def test() -> None:
        async with serving(idle_timeout_s=90) as server, server.http2() as client:
            assert (await client.get("/")).status == 200
            while not client.closed:
                await client.receive()
            assert client.goaway == 0
            assert 90 <= trio.current_time() < 95

    run(test, virtual_time=True)


def test_100_continue_is_sent_when_the_body_is_wanted() -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/p")]
            stream_id = await client.headers(*fields, (b"expect", b"100-continue"), end=False)
            while stream_id not in client.continued:
                await client.receive()
            client.h2.send_data(stream_id, b"hello", end_stream=True)
            await client.flush()
            assert (await client.answer(stream_id)).body == b"POST /p? hello"

    run(test)


def test_a_header_value_that_cannot_be_encoded_harms_nobody() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [("warning", 'from JSON: "\ud800"'), ("x-line", "a\r\nb")], b"ok")

    async def test() -> None:
        async with serving(handler) as server, server.http2() as two, server.http1() as one:
            for answer in (await two.get("/"), await one.get("/")):
                assert (answer.body, answer.headers["x-line"]) == (b"ok", "a  b")
                assert answer.headers["warning"].lower() == 'from json: "?"'

    run(test)


def test_a_peer_cannot_make_us_remember_headers_without_end() -> None:
    number = 0

    async def handler(request: Request) -> Response:
        nonlocal number
        number += 1
        return Response(200, [("audit-id", f"{number:036}")])

    async def test() -> None:
        async with serving(handler) as server, server.http2() as client:
            client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 1 << 20})
            for _ in range(200):
                assert (await client.get("/")).headers["audit-id"] == f"{number:036}"
            assert client.h2.decoder.header_table_size <= 4096

    run(test)


def test_tasks_go_from_stream_to_stream_and_few_are_kept_when_none_is_open() -> None:
    async def handler(request: Request) -> Response:
        served.add(trio.lowlevel.current_task())
        await barrier(int(request.query))
        return Response(200, [], b"")

    served: set[trio.lowlevel.Task] = set()
    asked: list[trio.Event] = []

    async def barrier(of: int) -> None:
        """Holds the requests of a batch until all of them are here."""
        asked.append(trio.Event())
        if len(asked) == of:
            for each in asked:
                each.set()
            asked.clear()
        else:
            await asked[-1].wait()

    async def test() -> None:
        async with serving(handler) as server, server.http2() as client:
            for batch in (1, 1, 1, 40, 40, 1):
                streams = [await client.ask("GET", f"/?{batch}") for _ in range(batch)]
                for stream_id in streams:
                    assert (await client.answer(stream_id)).status == 200
            assert len(served) == 40
            await trio.sleep(REST_S + 3 * SWEEP_S)
            assert sum(task.child_nurseries == [] and not _ended(task) for task in served) == IDLE_TASKS_KEPT

    run(test, virtual_time=True)


def _ended(task: trio.lowlevel.Task) -> bool:
    return task.coro.cr_frame is None  # type: ignore[attr-defined]


def test_a_peer_that_reads_nothing_is_still_heard_while_its_streams_fill_the_queue() -> None:
    """The reader once waited behind the writers: nobody took the peer's frames until the peer took all of theirs."""
    ended = {number: trio.Event() for number in range(6)}

    async def handler(request: Request) -> Response:
        if request.raw_path == "/narrow":
            return Response(200, [], b"x" * 100_000)

        async def without_end(write: Write) -> None:
            try:
                while True:
                    await write(bytes(50_000))
            finally:
                ended[int(request.raw_path[1:])].set()

        return Response(200, [], stream=without_end)

    async def test() -> None:
        async with serving(handler, output_bytes_max=65536) as server, server.http2() as client:
            client.h2.increment_flow_control_window(1 << 30)
            streams = [await client.ask("GET", f"/{number}") for number in ended]
            for stream_id in streams:
                client.h2.increment_flow_control_window(1 << 30, stream_id)
            await client.flush()
            await trio.testing.wait_all_tasks_blocked()  # the sender waits for the peer, all writers for the sender
            narrow = await client.ask("GET", "/narrow")
            for number, stream_id in enumerate(streams):
                client.h2.ping(b"%08d" % number)
                await client.flush()
                await trio.testing.wait_all_tasks_blocked()
                client.h2.increment_flow_control_window(20_000, narrow)
                await client.flush()
                await trio.testing.wait_all_tasks_blocked()
                client.h2.reset_stream(stream_id)
                await client.flush()
                await ended[number].wait()
            assert (await client.answer(narrow)).body == b"x" * 100_000
            while len(client.pongs) < len(streams):
                await client.receive()
            assert client.pongs == [b"%08d" % number for number in range(len(streams))]
            assert (await client.answer(await client.ask("GET", "/narrow"))).complete

    run(test)


def test_fields_of_one_stream_are_not_taken_for_those_of_the_next() -> None:
    async def handler(request: Request) -> Response:
        found = request.headers.known(authorization)
        request.headers = request.headers.without("authorization".__eq__)
        return Response(200, [], f"{request.raw_path} {found} {request.headers.get('x-more')}".encode())

    async def test() -> None:
        async with serving(handler) as server, server.http2() as client:
            for number, (token, *more) in enumerate([("a",), ("a",), ("b",), ("a", "1"), ("a",), ("",)] * 2):
                extra = [("authorization", token)] if token else []
                extra += [("x-more", each) for each in more]
                answer = await client.answer(await client.ask("GET", f"/{number}", None, *extra))
                assert answer.body.decode() == f"/{number} {token} {''.join(more)}"

    run(test)


def authorization(headers: Headers) -> str:
    return headers.get("authorization")
