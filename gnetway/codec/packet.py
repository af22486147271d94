"""The seam between a framing and the layers above it, and the buffer that the framings share."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Protocol

from gnetway.errors import FramingError, PacketTooLarge

#: Largest payload taken, in bytes. The biggest legitimate packet, a 512 KiB file part in a
#: container, is far below; other servers allow 10 to 16 MiB.
DEFAULT_MAX_PACKET_BYTES: Final = 16 * 1024 * 1024

#: A transport error is the shortest payload there is.
MIN_PACKET_BYTES: Final = 4

#: How much of an incomplete packet ``announced`` shows: as much as an auth_key_id has.
ANNOUNCED_BYTES: Final = 8

#: A listed segment smaller than this is joined with the next at once: a client that sends a few
#: bytes at a time shall not cost an object for each.
_SMALL_BYTES: Final = 1024


class Codec(Protocol):
    """One framing of MTProto packets, both directions of one connection.

    ``name`` is the framing's own, as people know it. ``supports_quick_ack`` is whether
    ``frame_quick_ack`` may be called. ``max_packet_bytes`` bounds an incoming payload.
    ``buffered`` begins what is not taken yet, empty where there is nothing.
    """

    name: ClassVar[str]
    supports_quick_ack: ClassVar[bool]
    max_packet_bytes: int
    buffered: bytes

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``next_packet`` then gives what it completed."""

    def next_packet(self) -> tuple[bytes, bool] | None:
        """Return the oldest complete packet, or None while bytes are missing.

        The packet is its payload and whether a quick ack is wanted for it.

        :raises PacketTooLarge: the length announced is above ``max_packet_bytes``; raised as soon
            as the length is here, before the payload is waited for.
        :raises FramingError: the stream does not follow the framing.
        """

    def announced(self) -> tuple[int, bytes] | None:
        """Return how long the packet being waited for is, in bytes, and how it begins.

        To be asked after ``next_packet`` has returned None. The beginning is the first 8 bytes
        of the payload (the auth_key_id), or as many as are here. None where nothing is buffered
        or the length is not known yet.
        """

    def unfinished(self) -> tuple[int, int]:
        """Return how many bytes of the packet being waited for are here, and how many it has.

        To be asked after ``next_packet`` has returned None. The second is 0 while it is not known.
        """

    def frame(self, payload: bytes) -> bytes:
        """Return the bytes that carry ``payload``, 4 bytes or a multiple of them."""

    def frame_quick_ack(self, token: int) -> bytes:
        """Return the bytes that carry a quick ack.

        ``token`` is unsigned 32-bit with bit 31 set, which is how clients tell it from a length.
        """


class BufferedCodec(ABC):
    """A framing whose packets begin with a head: segments in, payloads out, few copies.

    Between two calls it remembers bytes and how many more complete a packet. Length and quick-ack
    flag are read anew from the bytes each time, so that a split in the middle of a packet can lose
    neither.

    A segment that arrives while nothing is buffered is kept as it is, and packets are cut out
    of it: one copy a packet. Segments of a packet that spans several are listed, and joined once
    when it is complete: a bytearray that grows, and is then copied, costs far more in page faults
    than the bytes are worth. When all is taken, no buffer is held: an idle connection has none.
    """

    __slots__ = ("_later", "_missing", "_start", "buffered", "max_packet_bytes")
    #: Bytes that follow the payload.
    _trailer_bytes: ClassVar[int] = 0

    def __init__(self, max_packet_bytes: int = DEFAULT_MAX_PACKET_BYTES) -> None:
        self.max_packet_bytes = max_packet_bytes
        # What is not taken yet: buffered from _start on, then _later. buffered is empty as soon
        # as there is nothing.
        self.buffered = b""
        self._start = 0
        self._later: list[bytes] | None = None
        # How many bytes complete the oldest packet; if negative, so many follow its end. While
        # its head has not been read, any number up to minus the bytes that are listed.
        self._missing = 0

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``next_packet`` then gives what it completed."""
        if not self.buffered:
            self.buffered = data
            return
        self._missing -= len(data)
        if self._later is None:
            self._later = [data]
        elif len(self._later[-1]) < _SMALL_BYTES:
            self._later[-1] += data
        else:
            self._later.append(data)

    def next_packet(self) -> tuple[bytes, bool] | None:
        """Return the oldest complete payload and whether a quick ack is wanted, or None.

        :raises PacketTooLarge: the length announced is above ``max_packet_bytes``.
        :raises FramingError: the length is one that the framing does not allow.
        """
        if self._later is not None:
            if self._missing > 0:
                return None
            packet = self._take_spanning(self._later)
            if packet is not None:
                return packet
        buffer = self.buffered
        if not buffer:
            return None
        head = self._head()
        if head is not None:
            begin, size, quick_ack = head
            end = begin + size + self._trailer_bytes
            if end == len(buffer):
                self.buffered = b""
                self._start = 0
                return buffer[begin:], quick_ack
            if end < len(buffer):
                self._start = end
                return buffer[begin:end], quick_ack
            self._missing = end - len(buffer)
        self._gather()
        return None

    def announced(self) -> tuple[int, bytes] | None:
        """Return size and first 8 bytes of the packet waited for, or None while unknown."""
        if not self.buffered:
            return None
        head = self._head()
        if head is None:
            return None
        begin, size, _ = head
        end = begin + min(size, ANNOUNCED_BYTES)
        if len(self.buffered) < end and self._later is not None:
            self._gather()
            return self.announced()
        return size, self.buffered[begin:end]

    def unfinished(self) -> tuple[int, int]:
        """Return how many bytes of the packet being waited for are here, and how many it has."""
        if not self.buffered:
            return 0, 0
        head = self._head()
        if head is None:
            return len(self.buffered) - self._start, 0
        begin, size, _ = head
        end = begin + size + self._trailer_bytes
        here = len(self.buffered) if self._later is None else end - self._missing
        return here - self._start, end - self._start

    @abstractmethod
    def _head(self) -> tuple[int, int, bool] | None:
        """Read the oldest packet's head: where its payload begins, its size, quick ack wanted.

        Called with at least one byte buffered. None while the length is not all here.
        """

    def _check_size(self, size: int, alignment: int) -> None:
        """Refuse a payload of ``size`` bytes that is too large, too small or unaligned."""
        if size > self.max_packet_bytes:
            raise PacketTooLarge(size, self.max_packet_bytes)
        if size < MIN_PACKET_BYTES:
            raise FramingError(f"packet of {size} bytes, the shortest has {MIN_PACKET_BYTES}")
        if size % alignment:
            raise FramingError(f"packet of {size} bytes, not a multiple of {alignment}")

    def _take_spanning(self, later: list[bytes]) -> tuple[bytes, bool] | None:
        """Take the packet that ends in the last of the listed segments.

        It is joined without its head and without what follows, so that its bytes are copied
        once. Where that cannot be, everything is brought into one piece and None returned.
        """
        head = self._head()
        last = later[-1]
        end = len(last) + self._missing
        if head is None or end <= 0:
            # Cut within the head, or several segments came before a packet was asked for.
            self._gather()
            return None
        begin, _, quick_ack = head
        payload = b"".join((self.buffered[begin:], *later[:-1], last[:end]))
        self.buffered = last[end:]
        self._later = None
        return payload, quick_ack

    def _gather(self) -> None:
        """Bring what is not taken yet into one piece, so that nothing taken stays in memory."""
        self.buffered = self.buffered[self._start :]
        self._start = 0
        if self._later is not None:
            self.buffered = b"".join((self.buffered, *self._later))
            self._later = None
