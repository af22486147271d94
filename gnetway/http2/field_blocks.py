"""Header compression, as little of it as may be.

Our peers are told to keep no dynamic table. From their acknowledgement on a block means the same
whenever it comes, so what it was read as can be kept, and most blocks come again and again. We
send literals and fields of the static table only, so that blocks are constant bytes here too.
Source: RFC 7541; RFC 9113 section 4.3.
"""

from typing import Final

from hpack import Decoder, HPACKError

from gnetway.http2.error_codes import ErrorCode, Http2Error

#: Name and value.
Field = tuple[bytes, bytes]

#: All fields of one block by HTTP's reckoning, 32 bytes more for each than it is long: what grpcio
#: takes as well. A block itself is never longer than what it says.
MAX_FIELDS_BYTES: Final = 16_384

#: What it costs to read a block, in microseconds of pure Python on a slow machine: in any case,
#: and for each field. A byte of the block costs half of one, as Huffman code has to be decoded
#: bit by bit, a byte of the fields a sixteenth.
_BLOCK_EFFORT: Final = 60
_FIELD_EFFORT: Final = 6

#: "The dynamic table is empty from here on", for peers that want no more than that.
NO_TABLE: Final = b"\x20"


def encode_integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """Return an integer; ``first`` are the bits above the prefix. Source: RFC 7541 section 5.1."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((first | value,))
    encoded = bytearray((first | limit,))
    value -= limit
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_string(value: bytes) -> bytes:
    """Return a string literal without Huffman coding."""
    return encode_integer(len(value), 7) + value


def encode_field(name: bytes, value: bytes) -> bytes:
    """Return a literal field that is not indexed, with its name."""
    return b"\x00" + encode_string(name) + encode_string(value)


def encode_static(index: int, value: bytes) -> bytes:
    """Return a literal field that is not indexed, its name by index of the static table."""
    return encode_integer(index, 4) + encode_string(value)


class FieldBlocks:
    """Decodes the peer's blocks; ``constant`` once they mean the same whenever they come.

    ``effort`` is what decoding has cost since somebody has set it to 0.
    """

    __slots__ = ("_decoder", "constant", "effort")

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=MAX_FIELDS_BYTES)
        self.constant = False
        self.effort = 0

    def table_forbidden(self) -> None:
        """Take note that the peer has acknowledged a table size of 0.

        Only a peer that has something in its table has to say that it empties it.
        """
        self._decoder.max_allowed_table_size = 0
        if not self._decoder.header_table.dynamic_entries:
            self._decoder.header_table_size = 0
        self.constant = self._decoder.header_table_size == 0

    def decode(self, block: bytes) -> list[Field]:
        """Return the fields of a block.

        :raises Http2Error: it cannot be decoded, or is larger than allowed when it is.
        """
        try:
            fields = [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except (HPACKError, IndexError, ValueError) as error:
            # The table may be left half updated, so no later block could be trusted.
            raise Http2Error(ErrorCode.COMPRESSION_ERROR, type(error).__name__) from error
        length = sum(len(name) + len(value) for name, value in fields)
        self.effort += _BLOCK_EFFORT + _FIELD_EFFORT * len(fields) + (len(block) >> 1)
        self.effort += length >> 4
        if self._decoder.max_allowed_table_size == 0:
            self.constant = self._decoder.header_table_size == 0
        return fields
