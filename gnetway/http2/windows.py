"""Flow control: what a peer may still send, for a stream and for the connection.

Source: RFC 9113 sections 5.2 and 6.9.
"""

from typing import Final

from gnetway.http2.frames import MAX_31_BITS

#: Every window of either side begins with so many bytes.
DEFAULT_WINDOW_BYTES: Final = 65_535

#: What a peer may send on one stream before it hears of more. Whatever arrives is handed on at
#: once, so windows hold nobody back here; large ones spare both sides the updates.
STREAM_WINDOW_BYTES: Final = 4 << 20

#: The same for all streams of a connection.
CONNECTION_WINDOW_BYTES: Final = 16 << 20


def raised(window: int, increment: int) -> int:
    """Return a window after an increment of bytes.

    :raises OverflowError: it would be over 2^31-1.
    """
    window += increment
    if window > MAX_31_BITS:
        raise OverflowError("a window over 2^31-1 bytes")
    return window
