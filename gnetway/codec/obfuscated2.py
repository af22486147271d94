"""Obfuscated2: a 64-byte header that carries the keys of two AES-256-CTR streams.

The header is random but for 8 bytes at its end, which the client encrypts with the very key
that stands in the header before them: protocol tag (4 bytes), dc_id (2 bytes), 2 random bytes.
It hides the framing from dumb filters, and nothing from anyone who reads the header.

Source: core.telegram.org/mtproto/mtproto-transports#transport-obfuscation
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from gnetway.crypto.aes import CtrStream

HEADER_BYTES: Final = 64

#: Where key (32 bytes) and initial counter (16) stand, as they are for client to server and with
#: all 48 bytes reversed for server to client.
_KEY_OFFSET: Final = 8
_KEY_BYTES: Final = 32
_IV_END: Final = 56
_TAG_END: Final = 60
_DC_ID_END: Final = 62

#: A header may not begin like another transport: plain abridged by its first byte, these by
#: their first 4, full framing by zeros in bytes 4 to 8.
_FORBIDDEN_BYTE: Final = 0xEF
_FORBIDDEN_STARTS: Final = frozenset(
    (b"HEAD", b"POST", b"GET ", b"OPTI", b"\xee" * 4, b"\xdd" * 4, b"\x16\x03\x01\x02")
)
_FORBIDDEN_SECOND: Final = bytes(4)


class ObfuscatedStreams(NamedTuple):
    """What a header says, and the two streams of one side.

    ``tag`` is 4 bytes, ``dc_id`` signed 16-bit; many clients put a random number there.
    ``incoming`` decrypts what comes after the header, ``outgoing`` encrypts what is sent: every
    byte, errors and quick acks too, in the order of the wire. ``first`` is what came right behind
    the header, decrypted.
    """

    tag: bytes
    dc_id: int
    incoming: CtrStream
    outgoing: CtrStream
    first: bytes = b""


def open_header(data: bytes) -> ObfuscatedStreams:
    """Read a client's header and what has come behind it, as the server does.

    Any 64 bytes open to something; whether ``tag`` is one that is served is for the caller.

    :raises ValueError: ``data`` has less than 64 bytes.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"an obfuscated header has {HEADER_BYTES} bytes, not {len(data)}")
    from_client, from_server = _streams(data[:HEADER_BYTES])
    # The header runs through the stream as well, so that the counter stands behind it afterwards.
    opened = from_client.update(data)
    dc_id = int.from_bytes(opened[_TAG_END:_DC_ID_END], "little", signed=True)
    tag, first = opened[_IV_END:_TAG_END], opened[HEADER_BYTES:]
    return ObfuscatedStreams(tag, dc_id, from_client, from_server, first)


def make_header(
    tag: bytes, dc_id: int, random_bytes: Callable[[int], bytes]
) -> tuple[bytes, ObfuscatedStreams]:
    """Make a header and the streams behind it: the client's half.

    ``random_bytes`` is drawn from again while the header would look like another transport.
    """
    draft = random_bytes(HEADER_BYTES)
    while _looks_like_another(draft):
        draft = random_bytes(HEADER_BYTES)
    draft = draft[:_IV_END] + tag + dc_id.to_bytes(2, "little", signed=True) + draft[_DC_ID_END:]
    from_client, from_server = _streams(draft)
    # Tag and dc_id alone are encrypted: what makes the key goes as it is.
    header = draft[:_IV_END] + from_client.update(draft)[_IV_END:]
    return header, ObfuscatedStreams(tag, dc_id, from_server, from_client)


def _streams(header: bytes) -> tuple[CtrStream, CtrStream]:
    """Return the streams client to server and server to client, both at their beginning."""
    secret = header[_KEY_OFFSET:_IV_END]
    reverse = secret[::-1]
    return (
        CtrStream(secret[:_KEY_BYTES], secret[_KEY_BYTES:]),
        CtrStream(reverse[:_KEY_BYTES], reverse[_KEY_BYTES:]),
    )


def _looks_like_another(draft: bytes) -> bool:
    return (
        draft[0] == _FORBIDDEN_BYTE
        or draft[:4] in _FORBIDDEN_STARTS
        or draft[4:8] == _FORBIDDEN_SECOND
    )
