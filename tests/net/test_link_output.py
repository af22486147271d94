"""When what the backend sends leaves a link."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import pack_message
from gnetway.net.link_output import JOIN_BYTES
from gnetway.testing import Framing, QuickAck
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.fakes import Sent, some_key
from tests.net.gateway import Gateway

KEY = some_key(1)
PING = Ping(1).pack()
BODY = bytes(64)


class QuickAckTests(SynchronousTestCase):
    """A quick ack says that the backend has the message, and comes before what it answers."""

    def test_in_front_of_an_answer_that_comes_at_once(self) -> None:
        for style in STYLES:
            if style.framing is Framing.FULL:
                continue
            with self.subTest(style=style):
                gateway = Gateway()
                gateway.knows(KEY)
                link = gateway.connect(style)
                session = link.session(KEY, 5)

                def answer(sent: Sent, gateway: Gateway = gateway) -> None:
                    for body in (BODY, PING):
                        plaintext = pack_message(1, 5, 1, 0, body)
                        gateway.registry.push(KEY.auth_key_id, 5, plaintext)

                gateway.backend.on_send = answer
                data, tokens = b"", []
                for _ in range(2):
                    data += link.client.packet(session.encrypt(PING, link.now), quick_ack=True)
                    tokens.append(QuickAck(session.quick_ack_token))
                link.feed(data)
                self.assertEqual([link.got[0], link.got[3]], tokens)
                link.got = [one for one in link.got if not isinstance(one, QuickAck)]
                self.assertEqual(
                    [said.body for said in link.said(session)], [BODY, PING, BODY, PING]
                )

    def test_a_message_that_ends_its_link_has_none(self) -> None:
        """What the backend could not take is not acknowledged."""
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        gateway.backend.on_send = lambda sent: sent.client.end_links("hold_full")
        link.say(link.session(KEY), PING, quick_ack=True)
        self.assertEqual((link.got, link.open), ([], False))


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.gateway.knows(KEY)
        self.link = self.gateway.connect()
        self.session = self.link.session(KEY, 5)
        self.link.say(self.session, PING)
        self.writes: list[bytes] = []
        self.write = self.link.transport.write
        self.patch(self.link.transport, "write", self.note_write)

    def note_write(self, data: bytes) -> None:
        self.writes.append(data)
        self.write(data)

    def push(self, body: bytes = BODY) -> bool:
        plaintext = pack_message(1, 5, 1, 0, body)
        return self.gateway.registry.push(KEY.auth_key_id, 5, plaintext)

    def bodies(self) -> list[bytes]:
        self.link.read()
        return [said.body for said in self.link.said(self.session)]

    def test_all_of_a_turn_in_one_write(self) -> None:
        for _ in range(3):
            self.assertTrue(self.push())
        self.assertEqual(self.writes, [])
        self.gateway.settle()
        self.assertEqual(len(self.writes), 1)
        self.assertEqual(self.bodies(), [BODY] * 3)

    def test_the_next_turn_writes_again(self) -> None:
        for _ in range(2):
            self.push()
            self.gateway.settle()
        self.assertEqual(len(self.writes), 2)

    def test_much_does_not_wait_for_the_end_of_the_turn(self) -> None:
        large = bytes(JOIN_BYTES)
        self.push(large)
        self.assertEqual(len(self.writes), 1)
        self.push()
        self.assertEqual(len(self.writes), 1)
        self.assertEqual(self.bodies(), [large, BODY])

    def test_what_is_large_is_not_joined(self) -> None:
        large = bytes(JOIN_BYTES)
        self.push()
        self.push(large)
        self.assertEqual(len(self.writes), 2)
        self.assertEqual(self.bodies(), [BODY, large])

    def test_answers_leave_when_the_client_was_read(self) -> None:
        """And with them what was put off."""
        self.gateway.backend.on_send = self.answer
        self.push()
        self.link.protocol.dataReceived(
            self.link.client.packet(self.session.encrypt(PING, self.link.now))
        )
        self.assertEqual(len(self.writes), 1)
        self.gateway.settle()
        self.assertEqual(len(self.writes), 1)
        self.assertEqual(self.bodies(), [BODY, BODY])

    def answer(self, sent: Sent) -> None:
        self.push()

    def test_what_was_put_off_leaves_before_an_end(self) -> None:
        self.push()
        self.link.link.end("idle")
        self.assertEqual(len(self.writes), 1)
        self.gateway.settle()
        self.assertEqual(len(self.writes), 1)
        self.assertEqual(self.bodies(), [BODY])

    def test_nothing_is_written_to_a_link_that_is_gone(self) -> None:
        self.push()
        self.link.leave()
        self.gateway.settle()
        self.assertEqual(self.writes, [])

    def test_what_was_put_off_stays_when_the_client_stops_reading(self) -> None:
        self.push()
        self.link.link.output.pauseProducing()
        self.gateway.settle()
        self.assertEqual(self.writes, [])
        self.assertGreater(self.gateway.services.unsent.total_bytes, len(BODY))
        self.link.link.output.resumeProducing()
        self.assertEqual(len(self.writes), 1)
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)
