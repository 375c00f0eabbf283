"""The h2 library with the limits it lacks: what one peer can make it keep, and how long one call may take.

Stock h2 (4.4) keeps up to 16 MiB of a frame before it says that 16 KiB is the limit, decodes any header block of 65
frames before it counts, works through everything that arrived in one go, remembers 65,536 closed streams a connection,
and calls broken compression PROTOCOL_ERROR. Each is corrected by overriding the one method that does it.
"""

from __future__ import annotations

from collections.abc import Iterable

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, FrameTooLargeError, ProtocolError
from h2.frame_buffer import FrameBuffer
from hpack import Decoder, HeaderTuple
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.hpack import decode_integer
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame

FRAMES_AT_ONCE = 64  # some 5 ms of work when each of them is a request
PLAIN_BLOCK_BYTES = 4096  # a header block that costs no more than any other request
BYTES_PER_CHARGE = 1024  # of a larger one: 1 KiB of Huffman code takes as long to decode as ten pings to answer
SETTINGS, ACK = 4, 1
TABLE_SIZE_UPDATES = frozenset(bytes([first]) for first in range(0x20, 0x40))  # how one begins (RFC 7541, 6.3)


class BrokenCompression(ProtocolError):
    """HPACK that cannot be decoded: nothing on this connection can be understood any more (RFC 9113, section 4.3)."""

    error_code = ErrorCodes.COMPRESSION_ERROR


class Connection(H2Connection):
    """Late frames of a stream closed long ago end the connection; 1000 streams are more than a round trip holds."""

    MAX_CLOSED_STREAMS = 1000


class HeaderDecoder(Decoder):
    """Names its errors as the standard does, and takes two changes of the table's size in a block, but not thousands."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        try:
            if data[:1] in TABLE_SIZE_UPDATES:
                _check_table_size_updates(data)
            return super().decode(data, raw)
        except OversizedHeaderListError:
            raise
        except HPACKError as error:
            raise BrokenCompression(str(error)) from error


def _check_table_size_updates(block: bytes) -> None:
    """Each takes hpack some 7 us and the peer one byte; two are all that can have a meaning (RFC 7541, section 4.2)."""
    at = 0
    for _ in range(3):
        if block[at : at + 1] not in TABLE_SIZE_UPDATES:
            return
        at += decode_integer(block[at : at + 10], 5)[1]
    raise BrokenCompression("more than two changes of the table's size in one header block")


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
