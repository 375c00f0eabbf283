from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest
from h2.exceptions import DenialOfServiceError, FrameTooLargeError

from ledger.wire.http2_frames import COUNTED_EVERY, FRAMES_AT_ONCE, Connection, Frames
from tests.wire.wire_server import frame

HEADERS, RST_STREAM, PING, CONTINUATION = 1, 3, 6, 9
GET = b"\x82\x84\x86"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)


@pytest.fixture
def server() -> Connection:
    connection = Connection(h2.config.H2Configuration(client_side=False, validate_inbound_headers=False), 100_000)
    connection.incoming_buffer = Frames(100_000)
    connection.initiate_connection()
    connection.receive_data(PREFACE)
    return connection


def test_one_call_takes_a_bounded_number_of_frames_and_the_next_goes_on(server: Connection) -> None:
    frames = server.incoming_buffer
    assert isinstance(frames, Frames)
    pings = [len(server.receive_data(frame(PING, 0, 0, bytes(8)) * 150))]
    while frames.more:
        pings.append(len(server.receive_data(b"")))
    assert pings == [FRAMES_AT_ONCE, FRAMES_AT_ONCE, 150 - 2 * FRAMES_AT_ONCE]


def test_a_frame_that_is_too_large_is_refused_by_its_head(server: Connection) -> None:
    with pytest.raises(FrameTooLargeError):
        server.receive_data(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01")


def test_a_header_block_is_counted_while_it_arrives_and_charged_when_it_is_large(server: Connection) -> None:
    frames = server.incoming_buffer
    assert isinstance(frames, Frames)
    large = b"\x00\x01x\x7f\x81\x3d" + b"y" * 7936
    server.receive_data(frame(HEADERS, 5, 1, GET))
    assert frames.charges == 0
    server.receive_data(frame(HEADERS, 1, 3, GET + large) + frame(CONTINUATION, 4, 3))
    assert frames.charges == 7
    server.receive_data(frame(HEADERS, 0, 5, GET))
    with pytest.raises(DenialOfServiceError):
        server.receive_data(frame(CONTINUATION, 0, 5, bytes(16_384)) * 7)


def test_few_closed_streams_are_remembered(server: Connection) -> None:
    for number in range(3000):
        server.receive_data(frame(HEADERS, 5, 2 * number + 1, GET) + frame(RST_STREAM, 0, 2 * number + 1, bytes(4)))
    assert server.open_inbound_streams < COUNTED_EVERY
    assert len(server._closed_streams) == 1000
