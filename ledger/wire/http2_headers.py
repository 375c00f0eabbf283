"""Header blocks (HPACK, RFC 7541) as a server can have them cheaply: most of a block is the same from stream to stream.

What we send uses no dynamic table, so a block depends on nothing that was sent before it: the bytes of a field are made
once for all connections, and a block is their join. It costs some 150 bytes more a response than indexing would, and
took a third off the CPU time of an answer.

What we receive is decoded here as well, over hpack's Huffman code: hpack's own decoder copies the rest of a block for
every field of it. A block of indexed fields alone, which a client sends that asks for the same thing again,
changes no table: its fields are remembered until another block does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import lru_cache

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hpack.exceptions import HPACKDecodingError, HPACKError, OversizedHeaderListError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from ledger.wire.answers import NEVER_TWICE, REMEMBERED_BYTES_MAX, REMEMBERED_MAX, date_value, field_of

Field = tuple[bytes, bytes]

FIELDS_MAX = 4096  # remembered, as we send them
FIELD_BYTES_MAX = 512  # of one of them
# Begins every block: our table has no room. A peer that lowers what it allows may insist on being told (section 4.2).
NO_TABLE = b"\x20"
BLOCKS_MAX = 32  # remembered, as we receive them
BLOCK_BYTES_MAX = 128
CODES_MAX = 4096  # Huffman codes remembered
TABLE_BYTES = 4096  # of the dynamic table, unless a setting says otherwise
FIELD_OVERHEAD_BYTES = 32  # what a field counts beyond its text (section 4.1)
INTEGER_BITS_MAX = 35
TABLE_SIZE_UPDATES = frozenset(bytes([first]) for first in range(0x20, 0x40))  # how one begins (RFC 7541, 6.3)
STATIC_FIELDS = len(HeaderTable.STATIC_TABLE)


class BrokenCompression(ProtocolError):
    """HPACK that cannot be decoded: nothing on this connection can be understood any more (RFC 9113, section 4.3)."""

    error_code = ErrorCodes.COMPRESSION_ERROR


class HeaderEncoder:
    """Stands in for hpack's Encoder in h2. `header_table_size` is what the peer allows; none of it is used."""

    __slots__ = ("header_table_size",)

    def encode(self, fields: Iterable[Field]) -> bytes:
        return NO_TABLE + b"".join(
            [_remembered(*each) if len(each[1]) < FIELD_BYTES_MAX else encode_field(*each) for each in fields]
        )


def block_of(status: int, headers: Iterable[tuple[str, str]], length: int | None) -> bytes:
    """The header block of a response, as HeaderEncoder would make it of `answers.http2_headers`."""
    own, fields = b"", tuple(headers)
    if fields and fields[0][0] == NEVER_TWICE:
        own, fields = _encode_header(*fields[0]), fields[1:]
    parts = [NO_TABLE, _remembered(b":status", b"%d" % status), own, _blocks.get(fields) or _block(fields)]
    if length is not None:
        parts.append(_remembered(b"content-length", b"%d" % length))
    parts.append(_remembered(b"date", date_value()))
    return b"".join(parts)


def _block(fields: tuple[tuple[str, str], ...]) -> bytes:
    """The part of a block that nearly all answers have in common with another one."""
    block = b"".join([_encode_header(*each) for each in fields])
    if len(block) <= REMEMBERED_BYTES_MAX:
        if len(_blocks) >= REMEMBERED_MAX:
            _blocks.clear()
        _blocks[fields] = block
    return block


def _encode_header(name: str, value: str) -> bytes:
    """Nothing where the field is the wire's own."""
    field = field_of(name, value)
    return b"" if field is None else encode_field(*field)


_blocks: dict[tuple[tuple[str, str], ...], bytes] = {}


def encode_field(name: bytes, value: bytes) -> bytes:
    """An indexed field where the static table has it, else a literal that no table keeps (sections 6.1 and 6.2.2)."""
    index, values = HeaderTable.STATIC_TABLE_MAPPING.get(name, (0, {}))
    if value in values:
        return _integer(values[value], 7, 0x80)
    if index:
        return _integer(index, 4, 0) + _string(value)
    return b"\0" + _string(name) + _string(value)


_remembered = lru_cache(FIELDS_MAX)(encode_field)


def _string(text: bytes) -> bytes:
    return _integer(len(text), 7, 0) + text


def _integer(value: int, prefix_bits: int, first: int) -> bytes:
    """Section 5.1. `first` is what the bits before the prefix say."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([first | value])
    encoded = bytearray([first | most])
    value -= most
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class HeaderDecoder:
    """Stands in for hpack's Decoder in h2. Raises BrokenCompression and OversizedHeaderListError."""

    __slots__ = (
        "entries",
        "entries_bytes",
        "max_allowed_table_size",
        "max_header_list_size",
        "remembered",
        "table_bytes",
    )

    def __init__(self, max_header_list_size: int) -> None:
        self.entries: deque[Field] = deque()  # the dynamic table, the newest first (section 2.3.2)
        self.entries_bytes = 0
        self.table_bytes = self.max_allowed_table_size = TABLE_BYTES
        self.max_header_list_size = max_header_list_size
        self.remembered: dict[bytes, list[Field]] = {}  # blocks of indexed fields, by the table as it is

    def decode(self, block: bytes, raw: bool = True) -> list[Field]:
        """The fields of a whole block; names and values are bytes whatever `raw` says. Not to be changed."""
        known = self.remembered.get(block)
        if known is not None:
            return known
        try:
            fields = self._decode(block)
        except OversizedHeaderListError:
            raise
        except (HPACKError, IndexError) as error:
            raise BrokenCompression(str(error)) from error
        if not _changes_no_table(block):
            self.remembered.clear()
        elif len(block) <= BLOCK_BYTES_MAX:
            if len(self.remembered) >= BLOCKS_MAX:
                self.remembered.clear()
            self.remembered[block] = fields
        return fields

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at = self._update_table_size(block)
        left = self.max_header_list_size
        while at < len(block):
            first = block[at]
            if first & 0x80:
                if first < 0xFF:  # as nearly all: a number of one byte
                    index, at = first & 0x7F, at + 1
                else:
                    index, at = read_integer(block, at, 7)
                field = self._indexed(index)
            elif first & 0x40:
                field, at = self._literal(block, at, 6)
                self._add(field)
            elif first & 0x20:
                raise BrokenCompression("a change of the table's size behind a field")
            else:
                field, at = self._literal(block, at, 4)
            left -= FIELD_OVERHEAD_BYTES + len(field[0]) + len(field[1])
            if left < 0:
                raise OversizedHeaderListError(f"more than {self.max_header_list_size} bytes of fields")
            fields.append(field)
        return fields

    def _indexed(self, index: int) -> Field:
        """Raises IndexError."""
        if index > STATIC_FIELDS:
            return self.entries[index - STATIC_FIELDS - 1]
        if not index:
            raise BrokenCompression("there is no field 0")
        return HeaderTable.STATIC_TABLE[index - 1]

    def _literal(self, block: bytes, at: int, prefix_bits: int) -> tuple[Field, int]:
        index, at = read_integer(block, at, prefix_bits)
        if index:
            name = self._indexed(index)[0]
        else:
            name, at = read_string(block, at)
        value, at = read_string(block, at)
        return (name, value), at

    def _add(self, field: Field) -> None:
        self.entries.appendleft(field)
        self.entries_bytes += FIELD_OVERHEAD_BYTES + len(field[0]) + len(field[1])
        self._evict()

    def _evict(self) -> None:
        """The oldest fields until the table fits; all of them where the last one alone is too large (section 4.4)."""
        while self.entries_bytes > self.table_bytes:
            name, value = self.entries.pop()
            self.entries_bytes -= FIELD_OVERHEAD_BYTES + len(name) + len(value)

    def _update_table_size(self, block: bytes) -> int:
        """Where the first field begins. Two changes are all that can have a meaning (section 4.2); more are an attack."""
        at = changes = 0
        while block[at : at + 1] in TABLE_SIZE_UPDATES:
            self.table_bytes, at = read_integer(block, at, 5)
            changes += 1
            if changes > 2 or self.table_bytes > self.max_allowed_table_size:
                raise BrokenCompression("the table's size is changed too often or made too large")
            self._evict()
        if self.table_bytes > self.max_allowed_table_size:
            raise BrokenCompression("the table is larger than is allowed by now")
        return at


def read_integer(block: bytes, at: int, prefix_bits: int) -> tuple[int, int]:
    """(the number, where what follows it begins); section 5.1. Raises IndexError and HPACKDecodingError."""
    most = (1 << prefix_bits) - 1
    number = block[at] & most
    at += 1
    if number < most:
        return number, at
    for shift in range(0, INTEGER_BITS_MAX, 7):
        byte = block[at]
        at += 1
        number += (byte & 127) << shift
        if byte < 128:
            return number, at
    raise HPACKDecodingError("a number that is too long")


def read_string(block: bytes, at: int) -> tuple[bytes, int]:
    """(the text, where what follows it begins); section 5.2. Raises IndexError and HPACKDecodingError."""
    coded, length = block[at] & 0x80, block[at] & 0x7F
    if length < 0x7F:  # as nearly all: a number of one byte
        at += 1
    else:
        length, at = read_integer(block, at, 7)
    text = block[at : at + length]
    if len(text) < length:
        raise HPACKDecodingError("a text that is cut short")
    if coded:
        text = _decoded(text) if length <= FIELD_BYTES_MAX else decode_huffman(text)
    return text, at + length


_decoded = lru_cache(CODES_MAX)(decode_huffman)


def _changes_no_table(block: bytes) -> bool:
    """Whether it has indexed fields alone (section 6.1), each of one byte."""
    return bool(block) and min(block) > 0x80 and max(block) < 0xFF
