"""When what the backend sends leaves a link."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import pack_message
from gnetway.net.link_output import JOIN_BYTES
from gnetway.tl.service_messages import Ping
from tests.fakes import Sent, some_key
from tests.net.gateway import Gateway

KEY = some_key(1)
PING = Ping(1).pack()
BODY = bytes(64)


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
        self.link.link.pauseProducing()
        self.gateway.settle()
        self.assertEqual(self.writes, [])
        self.assertGreater(self.gateway.services.unsent.total_bytes, len(BODY))
        self.link.link.resumeProducing()
        self.assertEqual(len(self.writes), 1)
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)
