"""How long a link may be silent, and how long its end may take."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto import aes
from gnetway.net.link_services import LinkLimits
from gnetway.testing import plain_packet
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.handshake.server import NOW, make_client
from tests.net.gateway import Gateway

KEY = some_key(1)
PING = Ping(1).pack()


class HandshakeDeadlineTests(SynchronousTestCase):
    def test_who_says_nothing_has_30_seconds(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        gateway.wait(29.9)
        self.assertTrue(link.open)
        gateway.wait(2)
        self.assertTrue(link.transport.lost)
        self.assertEqual(gateway.ended(), {"handshake_timeout": 1})

    def test_bytes_alone_win_no_time(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        data = link.client.packet(plain_packet(make_client().begin(), link.now))
        for place in range(31):
            link.feed(data[place : place + 1])
            gateway.wait(1)
        gateway.wait(1)
        self.assertTrue(link.transport.lost)

    def test_a_slow_client_gets_through_byte_by_byte(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                gateway = Gateway()
                gateway.knows(KEY)
                link = gateway.connect(style)
                session = link.session(KEY)
                for number in range(3):
                    data = link.client.packet(session.encrypt(Ping(number).pack(), link.now))
                    for byte in data:
                        link.feed(bytes([byte]))
                        gateway.wait(0.1 if number == 0 else 0.5)
                self.assertTrue(link.open)
                self.assertEqual(len(gateway.backend.sent), 3)


class RestTests(SynchronousTestCase):
    def test_a_silent_link_rests_and_talks_on(self) -> None:
        """It rests every half minute in which the client was silent for more than 10 seconds."""
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect(STYLES[-1])
        session = link.session(KEY)
        made: list[float] = []

        def noting(cipher: AES256, mode: CTR) -> Cipher[CTR]:
            made.append(gateway.wall() - NOW)
            return Cipher(cipher, mode)

        self.patch(aes, "Cipher", noting)
        for _ in range(9):
            link.say(session, PING)
            gateway.wait(5)
        # By then each stream cipher has been used twice, and is kept.
        self.assertTrue(made)
        self.assertLess(max(made), 10)
        made.clear()
        gateway.wait(9)
        link.say(session, PING)
        self.assertEqual(made, [])
        gateway.wait(45)
        link.say(session, PING)
        self.assertEqual(len(made), 1)  # the gateway itself says nothing here


class IdleDeadlineTests(SynchronousTestCase):
    def test_each_read_wins_300_to_309_seconds(self) -> None:
        lives = set()
        gateway = Gateway()
        gateway.knows(KEY)
        for _ in range(40):
            link = gateway.connect()
            link.say(link.session(KEY), PING)
            gateway.wait(20)
            link.say(link.session(KEY), PING)
            said_at = gateway.clock.seconds()
            while link.open:
                gateway.wait(1)
            lives.add(int(gateway.clock.seconds() - said_at))
        self.assertGreaterEqual(min(lives), 300)
        self.assertLessEqual(max(lives), 309 + 2)
        self.assertGreater(len(lives), 5)
        self.assertEqual(gateway.ended(), {"idle": 40})

    def test_part_of_a_message_is_a_read_too(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        session = link.session(KEY)
        link.say(session, PING)
        data = link.client.packet(session.encrypt(PING, link.now))
        gateway.wait(290)
        link.feed(data[:1])
        gateway.wait(100)
        self.assertTrue(link.open)

    def test_what_is_sent_wins_no_time(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        session = link.session(KEY)
        link.say(session, PING)
        for _ in range(32):
            gateway.wait(10)
            gateway.registry.push(KEY.auth_key_id, session.session_id, bytes(64))
        self.assertEqual(gateway.ended(), {"idle": 1})

    def test_a_message_whose_key_was_looked_for_is_one(self) -> None:
        gateway = Gateway()
        gateway.backend.held = True
        link = gateway.connect()
        link.say(link.session(KEY), PING)
        gateway.wait(2)
        gateway.backend.queries[0][1].callback(KEY)
        gateway.wait(299)
        self.assertTrue(link.open)
        gateway.wait(12)
        self.assertEqual(gateway.ended(), {"idle": 1})

    def test_the_limits_are_those_of_the_listener(self) -> None:
        gateway = Gateway(LinkLimits(handshake_seconds=3, idle_seconds=20))
        gateway.knows(KEY)
        silent, speaking = gateway.connect(), gateway.connect()
        speaking.say(speaking.session(KEY), PING)
        gateway.wait(5)
        self.assertEqual((silent.open, speaking.open), (False, True))
        gateway.wait(27)
        self.assertFalse(speaking.open)


class LingerTests(SynchronousTestCase):
    def test_a_client_that_keeps_its_side_open_is_cut_off(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        link.send(b"\x55" * 64)
        self.assertEqual(link.code(), -404)
        gateway.wait(2.9)
        self.assertFalse(link.transport.aborted)
        gateway.wait(2.1)
        self.assertTrue(link.transport.aborted)
        self.assertTrue(link.transport.lost)
        self.assertEqual(gateway.ended(), {"key_unknown": 1})
        self.assertEqual((len(gateway.open_links), len(gateway.wheel)), (0, 0))

    def test_so_is_one_that_does_not_take_what_was_written(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        session = link.session(KEY)
        link.say(session, PING)
        link.transport.client_reads = False
        gateway.registry.push(KEY.auth_key_id, session.session_id, bytes(64))
        gateway.open_links.shut_down()
        gateway.wait(2.9)
        self.assertFalse(link.transport.lost)
        gateway.wait(2.1)
        self.assertTrue(link.transport.lost)
        self.assertEqual(len(gateway.backend.closed), 1)

    def test_one_that_leaves_in_time_is_not(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        link.send(b"\x55" * 64)
        link.leave()
        gateway.wait(10)
        self.assertFalse(link.transport.aborted)
        self.assertEqual(gateway.clock.getDelayedCalls(), [])
