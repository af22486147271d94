"""Which transport a connection speaks, told from its first bytes.

    ef                          abridged, unless a known tag stands in an obfuscated2 header
    ee ee ee ee                 intermediate
    dd dd dd dd                 padded intermediate
    .. .. .. .. 00 00 00 00     full: the length, then the first packet's sequence number
    any other 64 bytes          an obfuscated2 header, if a known tag stands in it

But for ef no two of these can be true of the same bytes, since obfuscated clients keep clear of
the others; so each is decided on as soon as its own bytes are here, however the network cuts them.
iOS does not keep clear of ef, which one of its headers in 256 begins with.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from gnetway.codec.abridged import ABRIDGED_TAG, AbridgedCodec
from gnetway.codec.first_bytes import FirstKind, first_kind
from gnetway.codec.full import FullCodec
from gnetway.codec.intermediate import (
    INTERMEDIATE_TAG,
    PADDED_INTERMEDIATE_TAG,
    IntermediateCodec,
    PaddedIntermediateCodec,
)
from gnetway.codec.obfuscated2 import HEADER_BYTES, ObfuscatedStreams, open_header
from gnetway.codec.packet import Codec
from gnetway.errors import UnknownTransport

_FULL_FIRST_SEQ: Final = bytes(4)

_TAGS: Final = frozenset((ABRIDGED_TAG, INTERMEDIATE_TAG, PADDED_INTERMEDIATE_TAG))

#: Where the first packet's auth_key_id begins on a plain abridged connection: behind the tag and a
#: length of one byte, or of four where it begins with one of these.
_SHORT_ID_OFFSET: Final = 2
_LONG_ID_OFFSET: Final = 5
_LONG_LENGTHS: Final = (b"\x7f", b"\xff")

#: The auth_key_id of an unencrypted packet.
_PLAIN_KEY_ID: Final = bytes(8)


class Detected(NamedTuple):
    """The transport of a connection.

    ``codec`` has been fed with all that came after the header, decrypted. ``streams`` is None
    on a plain connection.
    """

    codec: Codec
    streams: ObfuscatedStreams | None


class Detector:
    """Holds the first bytes of a connection until they tell its transport.

    It holds less than 64 bytes between segments. Once it has answered, its work is done and it
    is to be dropped.
    """

    __slots__ = ("_data", "_max_packet_bytes", "_random_bytes")

    def __init__(self, max_packet_bytes: int, random_bytes: Callable[[int], bytes]) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._random_bytes = random_bytes
        self._data = b""

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``result`` then says whether it was enough."""
        self._data += data

    def result(self) -> Detected | None:
        """Return the transport, or None while more bytes are needed.

        :raises UnknownTransport: the bytes belong to none served here; the text says to what.
        """
        data = self._data
        if data[:1] == ABRIDGED_TAG[:1]:
            return self._abridged_or_obfuscated()
        if len(data) < 4:
            return None
        start = data[:4]
        if start in (INTERMEDIATE_TAG, PADDED_INTERMEDIATE_TAG):
            return self._plain(self._codec(start), 4)
        # Now that it is no MTProto of the plain kinds: a web client on the wrong port, say.
        if (kind := first_kind(data)) not in (None, FirstKind.MTPROTO):
            raise UnknownTransport(f"{kind.value} on a port that expects MTProto")
        if data[4:8] == _FULL_FIRST_SEQ:
            return self._plain(FullCodec(self._max_packet_bytes), 0)
        if len(data) < HEADER_BYTES:
            return None
        return self._obfuscated(open_header(data))

    def _abridged_or_obfuscated(self) -> Detected | None:
        """Tell plain abridged from a header that begins with its tag.

        The first packet of a plain connection is unencrypted, which shows in its auth_key_id, or
        encrypted: then it has 72 bytes at least, so that waiting for a whole header never waits
        in vain.
        """
        data = self._data
        id_offset = _LONG_ID_OFFSET if data[1:2] in _LONG_LENGTHS else _SHORT_ID_OFFSET
        if data[id_offset : id_offset + len(_PLAIN_KEY_ID)] != _PLAIN_KEY_ID:
            if len(data) < HEADER_BYTES:
                return None
            streams = open_header(data)
            if streams.tag in _TAGS:
                return self._obfuscated(streams)
        return self._plain(AbridgedCodec(self._max_packet_bytes), 1)

    def _plain(self, codec: Codec, header_bytes: int) -> Detected:
        codec.receive(self._data[header_bytes:])
        return Detected(codec, None)

    def _obfuscated(self, streams: ObfuscatedStreams) -> Detected:
        codec = self._codec(streams.tag)
        codec.receive(streams.first)
        return Detected(codec, streams)

    def _codec(self, tag: bytes) -> Codec:
        if tag == ABRIDGED_TAG:
            return AbridgedCodec(self._max_packet_bytes)
        if tag == INTERMEDIATE_TAG:
            return IntermediateCodec(self._max_packet_bytes)
        if tag == PADDED_INTERMEDIATE_TAG:
            return PaddedIntermediateCodec(self._random_bytes, self._max_packet_bytes)
        raise UnknownTransport(
            "no known protocol tag in the obfuscated header: no MTProto client, or one that is "
            "set up with the secret of an MTProxy"
        )
