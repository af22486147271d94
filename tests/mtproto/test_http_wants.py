"""What an HTTP request says of its answer."""

from zlib import compress

from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.http_answers import HttpWants, read_http_wants
from gnetway.mtproto.message import pack_message
from gnetway.tl.service_messages import ContainedMessage, HttpWait, MsgsAck, Ping, pack_container
from gnetway.tl.unwrap import UnwrapLimits
from tests.connection.wrappers import CALL, contained, gzipped

WAIT = HttpWait(1, 2, 3)
ACK = MsgsAck([1, 2]).pack()
LIMITS = UnwrapLimits(max_messages=3, max_unpacked_bytes=1000)
NOTHING = HttpWants(None, asks=True)


def wants(body: bytes, seq_no: int = 1) -> HttpWants:
    return read_http_wants(pack_message(0, 0, 4, seq_no, body)[16:] + bytes(12), LIMITS)


class HttpWantsTests(SynchronousTestCase):
    def test_alone(self) -> None:
        self.assertEqual(wants(WAIT.pack()), HttpWants(WAIT, asks=False, odd_waits=(4,)))
        self.assertEqual(wants(WAIT.pack(), seq_no=2), HttpWants(WAIT, asks=False))
        self.assertEqual(wants(ACK), HttpWants(None, asks=False))
        for body in (CALL, Ping(1).pack()):
            self.assertEqual(wants(body), NOTHING)
        self.assertEqual(
            [HttpWants(wait, asks).only_acks for wait in (None, WAIT) for asks in (False, True)],
            [True, False, False, False],
        )

    def test_in_a_container(self) -> None:
        self.assertEqual(
            wants(contained(CALL, ACK, WAIT.pack())), HttpWants(WAIT, asks=True, odd_waits=(408,))
        )
        self.assertEqual(
            wants(contained(ACK, WAIT.pack())), HttpWants(WAIT, asks=False, odd_waits=(404,))
        )
        even = pack_container([ContainedMessage(4, 2, WAIT.pack())])
        self.assertEqual(wants(even), HttpWants(WAIT, asks=False))
        self.assertEqual(wants(contained(ACK, ACK)), HttpWants(None, asks=False))
        self.assertEqual(wants(contained(ACK, CALL)), NOTHING)
        self.assertEqual(wants(contained()), HttpWants(None, asks=False))

    def test_compressed_as_a_whole(self) -> None:
        self.assertEqual(wants(gzipped(contained(WAIT.pack(), CALL))).wait, WAIT)
        self.assertEqual(wants(gzipped(WAIT.pack())).odd_waits, (4,))

    def test_what_cannot_be_read_within_the_limits_says_nothing(self) -> None:
        for body in (
            contained(ACK, ACK, ACK, WAIT.pack()),
            contained(WAIT.pack())[:-4],
            WAIT.pack()[:-4],
            gzipped(contained(WAIT.pack(), bytes(2000))),
            gzipped(WAIT.pack())[:-8],
            b"",
        ):
            with self.subTest(body=body.hex()):
                self.assertIsNone(wants(body).wait)

    def test_a_bomb_is_not_unpacked(self) -> None:
        self.assertLess(len(compress(bytes(1 << 24))), 1 << 15)
        self.assertEqual(wants(gzipped(bytes(1 << 24))), NOTHING)

    @given(binary(max_size=80))
    def test_anything(self, payload: bytes) -> None:
        """No bytes of a client raise here."""
        read_http_wants(payload, LIMITS)
