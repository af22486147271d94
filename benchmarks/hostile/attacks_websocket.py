"""Attacks by WebSocket's own parts: the request head and the fragments of a message."""

import os
from typing import Final

from benchmarks.hostile.target import PLAIN, Target, head
from gnetway.testing import ClientLink
from gnetway.testing.talk import ClientTalk
from gnetway.testing.websocket import WebSocketEnd
from tests.live.client import now

_MIB: Final = 1 << 20
_UNFINISHED_HEAD: Final = b"GET /apiws HTTP/1.1\r\nX: "

#: A binary frame that begins a message of several, and the frames that go on with it: one byte
#: each, masked with zeros.
_FIRST: Final = b"\x02\x81" + bytes(4) + b"a"
_NEXT: Final = b"\x00\x81" + bytes(4) + b"a"


def long_head(target: Target) -> None:
    """Send one request head of 16 MiB."""
    over = target.connect(target.ports.websocket)
    target.pour(over, _UNFINISHED_HEAD + b"a" * (16 * _MIB))
    target.hold()


def long_heads(target: Target) -> None:
    """Send 16 heads of 8 MiB that never end, beside a thousand that have hardly begun."""
    for _ in range(1000):
        target.connect(target.ports.websocket).sendall(_UNFINISHED_HEAD)
    links = [target.connect(target.ports.websocket) for _ in range(16)]
    for over in links:
        target.pour(over, _UNFINISHED_HEAD + b"a" * (8 * _MIB))
    target.hold()


def fragments(target: Target) -> None:
    """On six connections at once: a packet of 15 MiB in fragments of one byte."""
    links = []
    for _ in range(6):
        over = target.connect(target.ports.websocket)
        link, end = ClientLink(PLAIN, os.urandom), WebSocketEnd(os.urandom)
        talk = ClientTalk(over, link, os.urandom, now, end)
        talk.open("localhost")
        talk.make_key([target.key])
        over.sendall(end.frame(head(15 * _MIB)))
        links.append(over)
    for over in links:
        over.sendall(_FIRST)
    piece = _NEXT * 10_000
    sent = 0
    while sent < 15 * _MIB - 20_000 and not target.over:
        for over in links:
            target.pour(over, piece)
        sent += 10_000
