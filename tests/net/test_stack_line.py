"""What a link says of itself: its whole stack with its states in one line, and no secret."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import Busy
from gnetway.mtproto.message import pack_message
from gnetway.testing import ClientSession, Framing, Style
from gnetway.tl.service_messages import Ping
from tests.connection.test_secrecy import run_secrets
from tests.connection.wrappers import bind_body, temp_key
from tests.fakes import some_key
from tests.handshake.server import make_client, told
from tests.net.gateway import Gateway, TcpLink
from tests.strategies import SeededBytes

KEY = some_key(1)
OTHER = some_key(2)
STYLE = Style(Framing.INTERMEDIATE, True)
BODY = Ping(0x1234_5678_9ABC).pack()


class StackLineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.gateway.knows(KEY, OTHER)
        self.link = self.gateway.connect(STYLE, "192.0.2.7")

    def line(self, link: TcpLink | None = None) -> str:
        return repr((link or self.link).link)

    def test_before_the_client_has_spoken(self) -> None:
        self.assertEqual(
            self.line(),
            "<GatewayLink open, 192.0.2.7, GatewayProtocol:"
            " <no codec yet> <sessions none> <0 bytes unsent>>",
        )

    def test_one_session(self) -> None:
        self.link.say(self.link.session(KEY, 5), BODY)
        self.assertEqual(
            self.line(),
            "<GatewayLink open, 192.0.2.7, GatewayProtocol:"
            f" <obfuscated intermediate, {KEY!r}> <sessions 5> <0 bytes unsent>>",
        )

    def test_several_keys_and_sessions(self) -> None:
        for key, session_id in ((KEY, 5), (OTHER, -6), (KEY, 7)):
            self.link.say(self.link.session(key, session_id), BODY)
        self.assertIn(f"intermediate, {KEY!r}, {OTHER!r}> <sessions 5, -6, 7>", self.line())

    def test_a_client_that_does_not_read(self) -> None:
        self.link.say(self.link.session(KEY, 5), BODY)
        self.link.link.output.pauseProducing()
        plaintext = pack_message(1, 5, 1, 0, BODY)
        self.gateway.registry.push(KEY.auth_key_id, 5, plaintext)
        self.assertIn("1 messages kept: the client does not read>", self.line())

    def test_what_is_waited_for(self) -> None:
        self.gateway.backend.held = True
        self.link.say(self.link.session(some_key(3)), BODY)
        self.assertIn("<obfuscated intermediate> <sessions none> <waits for a key>", self.line())
        bound, key = self.gateway.connect(STYLE), temp_key()
        self.gateway.key_cache.add(key)
        bound.say(bound.session(key), bind_body())
        self.assertIn(f"<waits for the bind of {key!r}>", self.line(bound))
        late = self.gateway.connect(STYLE)
        late.link.fail(Busy())
        self.assertIn("<waits for its end: protocol>", self.line(late))

    def test_the_end(self) -> None:
        self.link.link.end("idle")
        self.assertIn("<GatewayLink ending, ", self.line())
        self.link.leave()
        self.assertIn("<GatewayLink lost, ", self.line())

    def test_no_secret(self) -> None:
        client = make_client()
        lines = []
        query: bytes | None = client.begin()
        while query is not None:
            lines.append(self.line())
            answer = self.link.ask(query)
            lines.append(self.line())
            query = client.receive(answer)
        assert client.key is not None
        session = ClientSession(client.key, client.salt, self.link.chance, 5)
        body = SeededBytes(9)(64)
        self.link.say(session, body, quick_ack=True)
        self.link.link.output.pauseProducing()
        plaintext = pack_message(client.salt, 5, 1, 0, body)
        self.gateway.registry.push(client.key.auth_key_id, 5, plaintext)
        lines.append(self.line())
        text = "\n".join(lines)
        self.assertEqual(
            told(text, [*run_secrets(client, self.gateway.secrets), KEY.secret, body, body[:16]]),
            [],
        )
        self.assertNotIn(str(client.salt), text)
        for phase in ("WANT_REQ_DH_PARAMS", "WANT_CLIENT_DH"):
            self.assertIn(f"key exchange {phase}", text)
