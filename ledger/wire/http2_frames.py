"""The h2 library with the limits it lacks: what one peer can make it keep, and how long one call may take.

Stock h2 (4.4) keeps up to 16 MiB of a frame before it says that 16 KiB is the limit, decodes any header block of 65
frames before it counts, works through everything that arrived in one go, and remembers 65,536 closed streams a
connection. Each is corrected by overriding the one method that does it; so is what took most of the time of a request.
"""

from __future__ import annotations

import struct

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, H2Connection
from h2.errors import ErrorCodes
from h2.events import Event
from h2.exceptions import DenialOfServiceError, FrameTooLargeError, StreamClosedError, StreamIDTooLowError
from h2.frame_buffer import FrameBuffer
from h2.stream import StreamInputs
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame, RstStreamFrame

from ledger.wire.http2_headers import HeaderDecoder, HeaderEncoder

FRAMES_AT_ONCE = 64  # some 5 ms of work when each of them is a request
PLAIN_BLOCK_BYTES = 4096  # a header block that costs no more than any other request
BYTES_PER_CHARGE = 1024  # of a larger one: 1 KiB of Huffman code takes as long to decode as ten pings to answer
COUNTED_EVERY = 32  # streams; closed ones lie around for so long
DATA, HEADERS, SETTINGS = 0, 1, 4
ACK, END_STREAM, END_HEADERS = 1, 1, 4
FRAME_HEAD = struct.Struct(">LBL")  # length (24 bits) and type, flags, stream


class Connection(H2Connection):
    """Late frames of a stream closed long ago end the connection; 1000 streams are more than a round trip holds."""

    MAX_CLOSED_STREAMS = 1000

    def __init__(self, config: H2Configuration, header_bytes_max: int) -> None:
        super().__init__(config)
        self.decoder = HeaderDecoder(header_bytes_max)  # type: ignore[assignment]
        self.encoder = HeaderEncoder()  # type: ignore[assignment]
        self.opened = 0  # streams since they were counted
        self.charges = 0  # for frames that meant nothing; whoever reads it sets it back

    def respond(self, stream_id: int, block: bytes, body: bytes) -> bool:
        """A whole response in two frames; False, and nothing has happened, when it takes more or the window is too small.

        `block` is its header, encoded without a dynamic table.

        Does what send_headers and send_data do for a stream that was not answered yet, without a dozen objects.
        """
        stream = self._get_stream_by_id(stream_id)
        size, largest = len(body), self.max_outbound_frame_size or 0
        window = min(self.outbound_flow_control_window, stream.outbound_flow_control_window)
        if not 0 < size <= min(largest, window) or len(block) > largest:
            return False
        self.state_machine.process_input(ConnectionInputs.SEND_HEADERS)
        stream.state_machine.process_input(StreamInputs.SEND_HEADERS)
        stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        stream.outbound_flow_control_window -= size
        self.outbound_flow_control_window -= size
        head = FRAME_HEAD.pack(len(block) << 8 | HEADERS, END_HEADERS, stream_id)
        self._data_to_send += b"".join((head, block, FRAME_HEAD.pack(size << 8 | DATA, END_STREAM, stream_id), body))
        return True

    def go_on(self, stream_id: int, data: bytes) -> bool:
        """One frame more of a response; False, and nothing has happened, when it does not fit into frame and window.

        Does what send_data does, in a third of the time. Raises ProtocolError for a stream that is closed.
        """
        stream, size = self._get_stream_by_id(stream_id), len(data)
        window = min(self.outbound_flow_control_window, stream.outbound_flow_control_window)
        if not 0 < size <= min(self.max_outbound_frame_size or 0, window):
            return False
        stream.state_machine.process_input(StreamInputs.SEND_DATA)
        stream.outbound_flow_control_window -= size
        self.outbound_flow_control_window -= size
        self._data_to_send += FRAME_HEAD.pack(size << 8 | DATA, 0, stream_id) + data
        return True

    @property
    def open_inbound_streams(self) -> int:
        """At least as many as are open: they are counted, and the closed ones forgotten, once for `COUNTED_EVERY`."""
        self.opened += 1
        if self.opened < COUNTED_EVERY and len(self.streams) < self.local_settings.max_concurrent_streams:
            return len(self.streams)
        self.opened = 0
        return super().open_inbound_streams

    def _receive_frame(self, frame: Frame) -> list[Event]:
        """As in h2, which describes every frame for a log first."""
        try:
            answers, events = self._frame_dispatch_table[frame.__class__](frame)
        except StreamClosedError as error:
            if not self._stream_is_closed_by_reset(error.stream_id):
                raise
            answers, events = [_reset(error.stream_id, error.error_code)], error._events
        except StreamIDTooLowError as error:
            if self._stream_is_closed_by_end(error.stream_id):
                raise StreamClosedError(error.stream_id) from error
            if not self._stream_is_closed_by_reset(error.stream_id):
                raise
            answers, events = [_reset(error.stream_id, ErrorCodes.STREAM_CLOSED)], []
        if not events:  # about a stream that is closed: rare among friends
            self.charges += 1
        self._prepare_for_sending(answers)
        return events


def _reset(stream_id: int, code: ErrorCodes) -> Frame:
    frame = RstStreamFrame(stream_id)
    frame.error_code = code
    return frame


class Frames(FrameBuffer):
    """Gives at most `FRAMES_AT_ONCE` frames to one `receive_data`; `more` says that another call has work to do."""

    def __init__(self, block_bytes_max: int) -> None:
        super().__init__(server=True)
        self.block_bytes_max = block_bytes_max  # of one header block as it is sent
        self.left = 0
        self.more = False
        self.charges = 0  # for large header blocks; whoever reads it sets it back

    def __iter__(self) -> Frames:
        self.left, self.more = FRAMES_AT_ONCE, False
        return self

    def __next__(self) -> Frame:
        if not self.left:
            self.more = True
            raise StopIteration
        self.left -= 1
        data = self._data
        if len(data) >= 9:
            length = int.from_bytes(data[:3], "big")
            self._validate_frame_length(length)  # now, and not when all of it is here
            if length and data[3] == SETTINGS and data[4] & ACK:
                raise FrameTooLargeError("an acknowledgement of settings carries none")
        return super().__next__()

    def _update_header_buffer(self, f: Frame | None) -> Frame | None:
        whole = super()._update_header_buffer(f)
        if isinstance(f, HeadersFrame | ContinuationFrame):
            block = [whole] if isinstance(whole, HeadersFrame) else self._headers_buffer
            self._weigh(sum(len(each.data) for each in block))
        return whole

    def _weigh(self, block_bytes: int) -> None:
        if block_bytes > self.block_bytes_max:
            raise DenialOfServiceError(f"a header block of more than {self.block_bytes_max} bytes")
        if block_bytes > PLAIN_BLOCK_BYTES and not self._headers_buffer:
            self.charges += block_bytes // BYTES_PER_CHARGE
