"""What the bytes of one HTTP request may cost beside the packet in them."""

from typing import Final

#: Lines of a head: browsers send 25, and what stands before a gateway adds some. twisted.web takes
#: any number of the empty ones with which a field is continued.
MAX_HEAD_LINES: Final = 128

#: Bytes of a field's name: twisted.web keeps the first 10,000 that it sees, for ever.
MAX_NAME_BYTES: Final = 128

#: Digits that a Content-Length may have; int() raises on thousands of them.
_MAX_LENGTH_DIGITS: Final = 19

#: By how many bytes the framing of chunks may outweigh the body in them, and how much of them is
#: read before that is looked at: 700 of the smallest, 2 ms.
MAX_CHUNK_DEBT_BYTES: Final = 4 * 1024


class RequestBounds:
    """Counts what has come of a request; each method tells whether it may go on."""

    __slots__ = ("_chunk_debt_bytes", "_lines")

    def __init__(self) -> None:
        self._lines = 0
        self._chunk_debt_bytes = 0

    def next_request(self) -> None:
        """Begin anew: the request is here whole."""
        self._lines = self._chunk_debt_bytes = 0

    def take_line(self) -> bool:
        """Count a line of the head."""
        self._lines += 1
        return self._lines <= MAX_HEAD_LINES

    def take_field(self, line: bytes) -> bool:
        """Look at a header field, before twisted.web does."""
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and len(value.strip()) > _MAX_LENGTH_DIGITS:
            return False
        return len(name) <= MAX_NAME_BYTES

    def take_chunks(self, size: int, body_bytes: int) -> bool:
        """Count bytes of a body in chunks, and what they had of the body itself."""
        self._chunk_debt_bytes += size - 2 * body_bytes
        return self._chunk_debt_bytes <= MAX_CHUNK_DEBT_BYTES
