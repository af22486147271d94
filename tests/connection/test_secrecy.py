"""No text that these classes make of themselves tells a secret."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.events import ConnectionSetup, ExchangeWanted
from gnetway.connection.unbound import UnboundMessage, answer_unbound, look_into, refuse_bind
from gnetway.errors import ProtocolError
from gnetway.mtproto.message import pack_message
from gnetway.testing import ClientExchange, plain_packet
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.service_messages import GetFutureSalts, Ping
from gnetway.tl.unwrap import UnwrapLimits
from tests.connection.link import NOW, Link, Secrets, make_pending
from tests.connection.wrappers import bind_body, contained, temp_key
from tests.fakes import some_key
from tests.handshake.server import full_text, make_client, told
from tests.strategies import SeededBytes

KEY = some_key(1)
MSG_ID = int(NOW) << 32


class EventTests(SynchronousTestCase):
    def test_messages(self) -> None:
        key, body = temp_key(), SeededBytes(3)(64)
        link = Link(keys=[KEY, key])
        session = link.session(KEY)
        session.salt = 0x1234_5678_9ABC
        link.send(session.encrypt(body, NOW), quick_ack=True)
        link.send(link.session(key).encrypt(bind_body(), NOW))
        (message,), (bind,) = link.messages, link.binds
        secrets = [KEY.secret, key.secret, body, body[:16], message.payload, bind.message.payload]
        for event in (message, bind):
            with self.subTest(event=type(event).__name__):
                self.assertEqual(told(repr(event), secrets), [])
                self.assertNotIn(str(session.salt), repr(event))
                self.assertIn("AuthKey", repr(event))

    def test_wants_of_an_exchange(self) -> None:
        chance = SeededBytes(7)
        secrets = Secrets(chance)
        link = Link(setup=ConnectionSetup(make_pending(secrets, chance), chance))
        client = make_client()
        link.held = True
        query: bytes | None = client.begin()
        texts = []
        while query is not None:
            link.send(plain_packet(query, NOW))
            while link.wanted:
                event = link.wanted.pop()
                assert isinstance(event, ExchangeWanted)
                texts.append(repr(event))
                link.do(event)
                link.pump()
            query = None if client.key else client.receive(link.packets()[0][20:])
        self.assertEqual(len(texts), 3)
        for text in texts:
            self.assertEqual(told(text, run_secrets(client, secrets)), [])


class ErrorTests(SynchronousTestCase):
    def test_no_error_tells_what_it_was_about(self) -> None:
        client = make_client()
        body = SeededBytes(4)(64)
        session = Link().session(KEY)
        sealed = session.encrypt(body, NOW)
        short = session.seal(bytes(28) + (4).to_bytes(4, "little") + body)
        for packet in (
            sealed[:-16] + bytes(16),
            sealed[:40],
            short,
            plain_packet(body, NOW),
            plain_packet(client.begin(), NOW)[:-4],
        ):
            with self.subTest(packet=len(packet)):
                with self.assertRaises(ProtocolError) as caught:
                    link = Link(keys=[KEY])
                    link.send(packet)
                    # So much that it is told from an obfuscated header.
                    link.feed(bytes(64))
                text = full_text(caught.exception)
                secrets = [KEY.secret, body, body[:16], client.nonce, packet[8:24]]
                self.assertEqual(told(text, secrets), [])


class AnswerTests(SynchronousTestCase):
    def test_what_is_said_to_an_unbound_key_tells_no_payload(self) -> None:
        key, salt, ping_id, proof = temp_key(), 0x1234_5678_9ABC_DEF0, 0x7EDC_BA98_7654_3210, b"p"
        key.first_salt = salt
        bind = BindTempAuthKey(5, ping_id + 1, 1_900_000_000, proof * 104)
        body = contained(Ping(ping_id).pack(), GetFutureSalts(2).pack(), bind.pack())
        payload = pack_message(0, 0, MSG_ID, 1, body)[16:] + bytes(12)
        peek = look_into(MSG_ID, payload, UnwrapLimits())
        message = UnboundMessage(key, salt, 70, MSG_ID, 1)
        answers = answer_unbound(message, peek, NOW, SeededBytes(1))
        self.assertEqual(len(answers), 3)
        secrets = [key.secret, proof * 8]
        secrets += [number.to_bytes(8, "little") for number in (salt, ping_id, ping_id + 1)]
        for thing in (answers, refuse_bind(peek, key, NOW), peek, peek.bind, message):
            with self.subTest(thing=type(thing).__name__):
                self.assertEqual(told(repr(thing), secrets), [])
        self.assertEqual(told(repr(answers[0]), secrets), [])


def run_secrets(client: ClientExchange, secrets: Secrets) -> list[bytes]:
    """What the run made; see ``secrets_of`` for the same over an exchange alone."""
    assert client.key is not None
    found = [client.nonce, client.new_nonce, client.server_nonce, *client.aes()]
    found += [secret.g_a for secret in secrets.taken]
    return [*found, client.exponent.to_bytes(64, "big"), client.key.secret, client.key.aux_hash]
