"""An obfuscated header that begins as plain abridged does, and plain abridged beside it."""

import time
from contextlib import ExitStack, suppress
from itertools import islice

from gnetway.testing import Framing, Style
from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.primitives import Constructor
from tests.live.apps.answers import kind_of
from tests.live.apps.gateways import AppCase
from tests.live.apps.ios import PERM, TEMP, Phone
from tests.live.apps.keys import make_key, plain_answer
from tests.live.apps.talk import Talk
from tests.live.apps.wire import (
    TCP,
    WEBSOCKET,
    Begin,
    Ended,
    MessageIds,
    Silence,
    StreamLine,
    TransportError,
    connect_stream,
    plain,
)

PLAIN_ABRIDGED = Style(Framing.ABRIDGED, False)

#: Long enough for the kernel to deliver the first part alone.
CUT_SECONDS = 0.01

#: For all the answers to such links.
ANSWER_SECONDS = 10.0

#: Links that are written to in turns, so that all of their cuts cost one wait.
AT_ONCE = 64


class FirstByteTests(AppCase):
    def setUp(self) -> None:
        super().setUp()
        self.ids = MessageIds()

    def query(self) -> bytes:
        return plain(ReqPq(bytes(16), True).pack(), self.ids())

    def assert_answered(self, line: StreamLine) -> None:
        self.assertEqual(kind_of(plain_answer(line.packet()).body), Constructor.RES_PQ)

    def test_the_whole_way(self) -> None:
        phone = Phone(self.gateway.port, self.gateway.rsa)
        for wish in (PERM, TEMP):
            with self.subTest(wish), phone.dial(begin=Begin.LIKE_ABRIDGED) as line:
                made = phone.begin(wish).finish(line)
                self.assertIsNotNone(made.key)

    def test_over_websocket(self) -> None:
        with connect_stream(self.gateway.port, WEBSOCKET, begin=Begin.LIKE_ABRIDGED) as line:
            Talk(line, make_key(line, self.gateway.rsa)).ping()

    def assert_any_cut(self, style: Style, begin: Begin) -> None:
        """The first bytes come in two parts, cut anywhere."""
        line, wire = connect_and_wire(self.gateway.port, style, begin, self.query())
        line.close()
        cuts = iter(range(1, len(wire)))
        unanswered: list[int] = []
        while some := list(islice(cuts, AT_ONCE)):
            unanswered += self.unanswered(some, style, begin)
        self.assertEqual(unanswered, [])

    def unanswered(self, cuts: list[int], style: Style, begin: Begin) -> list[int]:
        """Cut the beginnings of as many links, and return which of them are not answered."""
        with ExitStack() as stack:
            links = [
                (cut, *connect_and_wire(self.gateway.port, style, begin, self.query()))
                for cut in cuts
            ]
            for cut, line, wire in links:
                stack.enter_context(line)
                line.write(wire[:cut])
            time.sleep(CUT_SECONDS)
            for cut, line, wire in links:
                with suppress(Ended):
                    line.write(wire[cut:])
            until = time.monotonic() + ANSWER_SECONDS
            return [cut for cut, line, _ in links if not answers(line, until)]

    def test_cut_anywhere(self) -> None:
        self.assert_any_cut(Style(Framing.ABRIDGED, True), Begin.LIKE_ABRIDGED)

    def test_every_framing_behind_such_a_header(self) -> None:
        for framing in (Framing.INTERMEDIATE, Framing.PADDED):
            with self.subTest(framing):
                style = Style(framing, True)
                line, wire = connect_and_wire(
                    self.gateway.port, style, Begin.LIKE_ABRIDGED, self.query()
                )
                with line:
                    line.write(wire)
                    self.assert_answered(line)

    def test_plain_abridged_cut_anywhere(self) -> None:
        """Its first packet has less than 64 bytes, and is answered all the same."""
        self.assert_any_cut(PLAIN_ABRIDGED, Begin.ANY)

    def test_plain_abridged_with_much_behind_it(self) -> None:
        """Well above 64 bytes at once, of two packets and of one long one."""
        with connect_stream(self.gateway.port, TCP, style=PLAIN_ABRIDGED) as line:
            session = make_key(line, self.gateway.rsa)
        with connect_stream(self.gateway.port, TCP, style=PLAIN_ABRIDGED) as line:
            Talk(line, session).ping()
        with connect_stream(self.gateway.port, TCP, style=PLAIN_ABRIDGED) as line:
            query = plain(ReqPq(bytes(16), True).pack() + bytes(600), self.ids())
            line.send(query)
            self.assert_answered(line)


def answers(line: StreamLine, until: float) -> bool:
    """Whether a resPQ comes before that time."""
    try:
        packet = line.packet(max(0.01, until - time.monotonic()))
    except (Ended, Silence, TransportError):
        return False
    return kind_of(plain_answer(packet).body) == Constructor.RES_PQ


def connect_and_wire(
    port: int, style: Style, begin: Begin, packet: bytes
) -> tuple[StreamLine, bytes]:
    """Return a new line, and the bytes that begin it with a packet."""
    line = connect_stream(port, TCP, begin=begin, style=style)
    return line, line.wire(packet)
