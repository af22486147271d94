"""The client's framing and obfuscation over one connection, both ways.

The framings are written from their description and not from the gateway's codecs.

Source: core.telegram.org/mtproto/mtproto-transports
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple
from zlib import crc32

from gnetway.codec.obfuscated2 import ObfuscatedStreams, make_header
from gnetway.testing.checks import demand

RandomBytes = Callable[[int], bytes]


class Framing(Enum):
    """The framings; the value is the protocol tag, empty where there is none."""

    ABRIDGED = b"\xef\xef\xef\xef"
    INTERMEDIATE = b"\xee\xee\xee\xee"
    PADDED = b"\xdd\xdd\xdd\xdd"
    FULL = b""


#: Those that obfuscated2 has a tag for.
OBFUSCATED = [framing for framing in Framing if framing is not Framing.FULL]


def abridged(payload: bytes, quick_ack: bool = False) -> bytes:
    """Return a packet behind its length in words: one byte, or 0x7f and three."""
    words = len(payload) // 4
    flag = 0x80 if quick_ack else 0
    if words < 0x7F:
        return bytes([words | flag]) + payload
    return bytes([0x7F | flag]) + words.to_bytes(3, "little") + payload


def intermediate(payload: bytes, quick_ack: bool = False) -> bytes:
    """Return a packet behind its length in four bytes, the padding counted in."""
    return (len(payload) | quick_ack << 31).to_bytes(4, "little") + payload


def full(payload: bytes, seq: int) -> bytes:
    """Return a packet between its length and number, and the CRC-32 of all three."""
    covered = b"".join(
        (
            (len(payload) + 12).to_bytes(4, "little"),
            seq.to_bytes(4, "little"),
            payload,
        )
    )
    return covered + crc32(covered).to_bytes(4, "little")


class Style(NamedTuple):
    """How a client puts its packets on the wire; full framing cannot be obfuscated.

    ``dc_id`` stands in the header of an obfuscated connection.
    """

    framing: Framing
    obfuscated: bool
    dc_id: int = 2

    def __repr__(self) -> str:
        return f"{'obfuscated ' if self.obfuscated else ''}{self.framing.name.lower()}"


class QuickAck(NamedTuple):
    """A quick ack the server sent."""

    token: int


class ClientLink:
    """``packet`` makes the bytes to send, ``receive`` takes those of the server apart."""

    def __init__(self, style: Style, random_bytes: RandomBytes) -> None:
        self.style = style
        #: Whether padded packets have any padding.
        self.pads = True
        self._random_bytes = random_bytes
        self._sent = self._got = 0
        self._buffer = b""
        framing = style.framing
        self._begin = framing.value[:1] if framing is Framing.ABRIDGED else framing.value
        self._streams: ObfuscatedStreams | None = None
        if style.obfuscated:
            self._begin, self._streams = make_header(framing.value, style.dc_id, random_bytes)

    def packet(self, payload: bytes, quick_ack: bool = False) -> bytes:
        """Return the bytes of one packet; the first ones begin the connection."""
        framing = self.style.framing
        if framing is Framing.PADDED and self.pads:
            payload += self._random_bytes(self._random_bytes(1)[0] % 16)
        if framing is Framing.FULL:
            framed = full(payload, self._sent)
        elif framing is Framing.ABRIDGED:
            framed = abridged(payload, quick_ack)
        else:
            framed = intermediate(payload, quick_ack)
        self._sent += 1
        return self.raw(framed)

    def raw(self, framed: bytes) -> bytes:
        """Return bytes as they go over the wire, whatever they say."""
        begin: bytes = self._begin
        self._begin = b""
        return begin + (self._streams.outgoing.update(framed) if self._streams else framed)

    def receive(self, data: bytes) -> list[bytes | QuickAck]:
        """Return the packets and quick acks that are complete by now.

        :raises PeerError: what the server sends follows no such framing.
        """
        self._buffer += self._streams.incoming.update(data) if self._streams else data
        got: list[bytes | QuickAck] = []
        while (one := self._take()) is not None:
            got.append(one)
        return got

    @property
    def unfinished(self) -> bytes:
        """What the server sent of a packet that is not complete yet."""
        return self._buffer

    def _take(self) -> bytes | QuickAck | None:
        if len(self._buffer) < 4:
            return None
        framing = self.style.framing
        if framing is Framing.FULL:
            return self._take_full()
        if framing is Framing.ABRIDGED:
            return self._take_abridged()
        head = int.from_bytes(self._buffer[:4], "little")
        if head >> 31:
            # Both forms are known to clients; the padded framing has one of its own.
            demand(framing is Framing.INTERMEDIATE, "a bare quick ack in the padded framing")
            return QuickAck(int.from_bytes(self._cut(0, 4) or b"", "little"))
        packet = self._cut(4, head)
        if packet is not None and framing is Framing.PADDED and packet[:4] == b"\xff" * 4:
            demand(8 <= len(packet) < 12, "length of a padded quick ack")
            return QuickAck(int.from_bytes(packet[4:8], "little"))
        return packet

    def _take_abridged(self) -> bytes | QuickAck | None:
        first = self._buffer[0]
        if first >> 7:
            return QuickAck(int.from_bytes(self._cut(0, 4) or b"", "big"))
        if first == 0x7F:
            return self._cut(4, 4 * int.from_bytes(self._buffer[1:4], "little"))
        return self._cut(1, 4 * first)

    def _take_full(self) -> bytes | None:
        framed = self._cut(0, int.from_bytes(self._buffer[:4], "little"))
        if framed is None:
            return None
        demand(int.from_bytes(framed[4:8], "little") == self._got, "sequence number")
        demand(int.from_bytes(framed[-4:], "little") == crc32(framed[:-4]), "CRC")
        self._got += 1
        return framed[8:-4]

    def _cut(self, head_bytes: int, size: int) -> bytes | None:
        end = head_bytes + size
        if len(self._buffer) < end:
            return None
        cut, self._buffer = self._buffer[head_bytes:end], self._buffer[end:]
        return cut
