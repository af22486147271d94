"""Keys over the life of a gateway: kept, unknown, many at once; and quick acks."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from unittest import TestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import TransportErrorCode
from gnetway.testing import ClientSession, Framing, QuickAck, Style, Wish
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.live import handler
from tests.live.client import LiveClient, now
from tests.live.gateway import Gateway

MIB = 1 << 20


def again(session: ClientSession) -> ClientSession:
    """Return a new session of the same key, as a client makes that comes back."""
    return ClientSession(session.key, session.salt, os.urandom)


class LiveTestCase(TestCase):
    gateway: Gateway

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = Gateway()
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    def client(self, style: Style) -> LiveClient:
        return LiveClient(self.gateway, style)

    def new_session(self, wish: Wish | None = None) -> ClientSession:
        with LiveClient(self.gateway) as client:
            return client.make_key(wish)


class KeyTests(LiveTestCase):
    def test_every_framing_makes_a_key_and_uses_it(self) -> None:
        for style in STYLES:
            with self.subTest(style), self.client(style) as client:
                session = client.make_key(Wish(legacy=style.obfuscated))
                client.ping(session)
                payload = os.urandom(1000)
                answer = client.call(session, handler.echo(payload))
                self.assertEqual(answer, handler.cdn_file(payload))

    def test_every_framing_carries_a_mebibyte_each_way(self) -> None:
        """Also as the very first message of a connection that resumes."""
        known = self.new_session()
        payload = os.urandom(MIB)
        for style in STYLES:
            with self.subTest(style), self.client(style) as client:
                session = again(known)
                answer = client.call(session, handler.echo(payload))
                self.assertTrue(answer == handler.cdn_file(payload))

    def test_a_push_comes_to_its_session(self) -> None:
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            client.call(session, handler.push(b"news"))
            said = [*client.heard]
            while handler.cdn_file(b"news") not in said:
                said.append(next(client.bodies(session)))

    def test_a_key_is_known_after_a_restart(self) -> None:
        known = self.new_session()
        self.gateway.stop()
        self.gateway.start()
        for style in STYLES:
            with self.subTest(style), self.client(style) as client:
                # No key exchange here: the very first packet is answered.
                client.ping(again(known))

    def test_an_unknown_key_is_told(self) -> None:
        unknown = ClientSession(AuthKey(os.urandom(256), KeyKind.PERM), 0, os.urandom)
        for style in STYLES:
            with self.subTest(style), self.client(style) as client:
                client.send(unknown.encrypt(Ping(1).pack(), now()))
                self.assertEqual(client.transport_error(), TransportErrorCode.KEY_UNKNOWN)
                self.assertTrue(client.ended())

    def test_two_hundred_connections_at_once(self) -> None:
        known = [self.new_session() for _ in range(8)]
        with ExitStack() as stack:
            links = [
                (stack.enter_context(self.client(STYLES[i % 7])), again(known[i % 8]))
                for i in range(200)
            ]
            with ThreadPoolExecutor(20) as pool:
                list(pool.map(lambda link: link[0].ping(*link[1:]), links))
            # All are open still, and each hears its own answers only.
            for number, (client, session) in enumerate(links):
                client.send(session.encrypt(Ping(number).pack(), now()))
            for number, (client, session) in enumerate(links):
                client.await_pong(session, number)


class QuickAckTests(LiveTestCase):
    def test_tokens(self) -> None:
        for style in STYLES:
            if style.framing is not Framing.FULL:
                with self.subTest(style):
                    self._check(style)

    def _check(self, style: Style) -> None:
        with self.client(style) as client:
            session = client.make_key()
            client.ping(session)
            tokens = []
            # Large and small, so that both forms of the abridged length have it.
            for body in (Ping(1).pack(), handler.echo(os.urandom(2000)), Ping(2).pack()):
                client.send(session.encrypt(body, now()), quick_ack=True)
                tokens.append(session.quick_ack_token)
            heard: list[int] = []
            while len(heard) < len(tokens):
                got = client.receive()
                if isinstance(got, QuickAck):
                    heard.append(got.token)
            self.assertEqual(heard, tokens)
            # Nobody asked: nothing but messages comes.
            client.send(session.encrypt(Ping(3).pack(), now()))
            self.assertIsInstance(client.receive(), bytes)

    def test_bytes_on_the_wire(self) -> None:
        """Without obfuscation: the token's own form in each framing, byte for byte."""
        for framing, begin in (
            (Framing.ABRIDGED, b""),
            (Framing.INTERMEDIATE, b""),
            (Framing.PADDED, b"\xff" * 4),
        ):
            with self.subTest(framing), self.client(Style(framing, False)) as client:
                session = client.make_key()
                client.ping(session)
                client.send(session.encrypt(Ping(7).pack(), now()), quick_ack=True)
                token = session.quick_ack_token.to_bytes(4, "little")
                wanted = token[::-1] if framing is Framing.ABRIDGED else begin + token
                wire = b""
                while wanted not in wire:
                    data = client.socket.recv(4096)
                    self.assertTrue(data)
                    wire += data
                self.assertEqual(wire.count(wanted), 1)
