"""Messages above what session nodes take: one client's own fault, and nobody else's trouble."""

from collections import Counter
from collections.abc import Mapping
from struct import pack
from typing import ClassVar, Final

from gnetway.config.session import Carrier
from gnetway.testing import ClientSession, QuickAck
from tests.live.client import LiveClient, now
from tests.live.cluster.faulty import REFUSED, TOO_BIG, FaultyCase, last_words
from tests.live.cluster.faulty_node import NODE_LIMIT_BYTES

TALKERS: Final = 6

#: How many messages are too big, each on a connection of its own.
BIG_MESSAGES: Final = 5
BIG_BYTES: Final = 5 * 1024 * 1024

#: What the least bound leaves for the wrapping of a message, amply.
WRAPPING_BYTES: Final = 8 * 1024


def message_of(size: int) -> bytes:
    """Return the body of a message of no known type."""
    return pack("<I", 0x1B1B1B1B) + bytes(size - 4)


class _BigCase(FaultyCase):
    def send_big_messages(self) -> int:
        """Send them all; each ends its connection, without a code. Returns how many quick acks."""
        session = self.new_session()
        heard = [packet for _ in range(BIG_MESSAGES) for packet in self._send_big(session)]
        self.assertEqual([packet for packet in heard if not isinstance(packet, QuickAck)], [])
        return len(heard)

    def _send_big(self, session: ClientSession) -> list[bytes | QuickAck]:
        with LiveClient(self.gateway) as client:
            client.send(session.encrypt(message_of(BIG_BYTES), now()), quick_ack=True)
            return last_words(client)

    def begun(self) -> Counter[str]:
        """Return what gRPC has seen of calls and streams to all nodes."""
        return sum((node.begun for node in self.nodes), Counter())

    def refused_by_grpc(self, before: Counter[str]) -> int:
        """Return how often a message has come to a node that did not take it.

        By calls those are the calls that the node's method did not hear of; by stream each one
        costs the stream, and there is one for each node without that.
        """
        begun = self.begun() - before
        if self.by_stream:
            return max(0, begun["SessionDataStream"] - len(self.nodes))
        heard = [told for told in self.service.told[self._told_start :] if told.method == "data"]
        return begun["session_sendDataToSession"] - len(heard)


class UnaryTests(_BigCase):
    """With Session.MaxMessageBytes as it is by default: nothing of it is sent."""

    def test_it_ends_before_it_is_sent(self) -> None:
        before = self.begun()
        talkers = self.talkers(TALKERS)
        quick_acks = self.send_big_messages()
        self.assertEqual(quick_acks, 0)
        self.assertEqual(self.causes(), {TOO_BIG: BIG_MESSAGES})
        self.assert_untouched(talkers)
        self.assert_nodes_sound()
        self.assertEqual(self.refused_by_grpc(before), 0)

    def test_the_largest_that_nodes_take(self) -> None:
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            body = message_of(NODE_LIMIT_BYTES - WRAPPING_BYTES)
            client.send(session.encrypt(body, now()))
            next(client.bodies(session))
        (told,) = self.heard("data", session)
        self.assertEqual(len(told.body), len(body))
        self.assertEqual(self.causes(), {})


class StreamTests(UnaryTests):
    by_stream = True


class GrpcioUnaryTests(UnaryTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamTests(StreamTests):
    carrier = Carrier.GRPCIO


class UnaryRaisedTests(_BigCase):
    """With a Session.MaxMessageBytes above what the nodes take: those refuse."""

    more: ClassVar[Mapping[str, object]] = {"max_message_bytes": 4 * NODE_LIMIT_BYTES}

    def test_it_is_the_message_that_is_blamed(self) -> None:
        before = self.begun()
        talkers = self.talkers(TALKERS)
        self.send_big_messages()
        causes = self.causes()
        self.assertEqual(causes[TOO_BIG] + causes[REFUSED], BIG_MESSAGES, causes)
        self.assertEqual(causes.total(), BIG_MESSAGES, causes)
        # What was on its way in the same stream goes again.
        self.assert_untouched(talkers, most_arrivals=2 if self.by_stream else 1)
        self.assert_nodes_sound()
        self.assertLessEqual(self.refused_by_grpc(before), 2 * BIG_MESSAGES)


class StreamRaisedTests(UnaryRaisedTests):
    by_stream = True


class GrpcioUnaryRaisedTests(UnaryRaisedTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamRaisedTests(StreamRaisedTests):
    carrier = Carrier.GRPCIO
