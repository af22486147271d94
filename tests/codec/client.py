"""Whole streams of a client in every framing, and what the codecs make of them."""

from collections.abc import Callable, Iterable

from gnetway.codec.framings import (
    AbridgedCodec,
    FullCodec,
    IntermediateCodec,
    PaddedIntermediateCodec,
)
from gnetway.codec.obfuscated2 import make_header
from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES, Codec
from gnetway.testing.link import Framing, abridged, full, intermediate

Requests = list[tuple[bytes, bool]]
RandomBytes = Callable[[int], bytes]


def make_codec(framing: Framing, max_packet_bytes: int = DEFAULT_MAX_PACKET_BYTES) -> Codec:
    if framing is Framing.ABRIDGED:
        return AbridgedCodec(max_packet_bytes)
    if framing is Framing.INTERMEDIATE:
        return IntermediateCodec(max_packet_bytes)
    if framing is Framing.PADDED:
        return PaddedIntermediateCodec(bytes, max_packet_bytes)
    return FullCodec(max_packet_bytes)


def packets(framing: Framing, sent: Requests) -> bytes:
    """All of ``sent``, framed and joined."""
    if framing is Framing.FULL:
        return b"".join(full(payload, seq) for seq, (payload, _) in enumerate(sent))
    one = abridged if framing is Framing.ABRIDGED else intermediate
    return b"".join(one(payload, quick_ack) for payload, quick_ack in sent)


def expected(framing: Framing, sent: Requests) -> Requests:
    """What a codec makes of ``sent``: full framing cannot ask for a quick ack."""
    return [(payload, quick_ack and framing is not Framing.FULL) for payload, quick_ack in sent]


def plain_stream(framing: Framing, sent: Requests) -> bytes:
    """A plain connection from its first byte."""
    header: bytes = framing.value[:1] if framing is Framing.ABRIDGED else framing.value
    return header + packets(framing, sent)


def obfuscated_stream(framing: Framing, sent: Requests, random_bytes: RandomBytes) -> bytes:
    """An obfuscated connection from its first byte."""
    header, streams = make_header(framing.value, 2, random_bytes)
    return header + streams.outgoing.update(packets(framing, sent))


def drain(codec: Codec) -> Requests:
    """Every packet that is complete by now."""
    got = []
    while (packet := codec.next_packet()) is not None:
        got.append(packet)
    return got


def feed(codec: Codec, segments: Iterable[bytes]) -> Requests:
    """Every packet, asked for after each segment as a connection does."""
    got = []
    for segment in segments:
        codec.receive(segment)
        got += drain(codec)
    return got
