"""The client's half is worth its name: it believes no bent answer."""

from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha1
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.aes import ige_encrypt
from gnetway.crypto.auth_key import DH_PRIME, DH_PRIME_BYTES, AuthKey
from gnetway.crypto.message_key import SERVER_X, decrypt, derive_aes, encrypt
from gnetway.testing import (
    ClientExchange,
    ClientSession,
    PeerError,
    factor,
    open_plain_packet,
    plain_packet,
)
from gnetway.tl.key_exchange import (
    DHGenFail,
    DHGenOk,
    DHGenRetry,
    ResPQ,
    ServerDHInnerData,
    ServerDHParamsOk,
    parse_answer,
)
from tests.handshake.server import (
    NOW,
    Server,
    make_client,
    run,
    until_client_dh,
    until_dh_params,
)
from tests.strategies import SeededBytes
from tests.vectors import load

OTHER = b"\x55" * 16
BODY = b"\1\2\3\4"


class ResPQTests(SynchronousTestCase):
    def bent(self, **fields: object) -> None:
        client, server = make_client(), Server()
        answer = parse_answer(server.ask(client.begin()) or b"")
        assert isinstance(answer, ResPQ)
        bent = replace(answer, **fields)  # type: ignore[arg-type]
        self.assertRaises(PeerError, client.receive, bent.pack())

    def test_nonce(self) -> None:
        self.bent(nonce=OTHER)

    def test_fingerprints(self) -> None:
        self.bent(fingerprints=[])
        self.bent(fingerprints=[1, 2])

    def test_pq(self) -> None:
        for pq in (0, 1, 7 * 7, 10007, 3 * 5 * 7, 3 * 2**62):
            self.bent(pq=pq.to_bytes(9, "big"))

    def test_twice(self) -> None:
        client, server = make_client(), Server()
        answer = server.ask(client.begin()) or b""
        client.receive(answer)
        self.assertRaises(PeerError, client.receive, answer)

    def test_factor(self) -> None:
        self.assertEqual(factor(0x17ED48941A08F981), (0x494C553B, 0x53911073))
        self.assertEqual(factor(15), (3, 5))


class ServerDHTests(SynchronousTestCase):
    def refused(
        self, bend: Callable[[ClientExchange, ServerDHInnerData], tuple[ServerDHInnerData, bytes]]
    ) -> None:
        """``bend`` returns the inner data to hash, and what is to follow it."""
        client, server = make_client(), Server()
        until_dh_params(client, server)
        g_a = (1 << 2047).to_bytes(256, "big")
        sound = ServerDHInnerData(client.nonce, client.server_nonce, 3, DH_PRIME_BYTES, g_a, 1)
        inner, padding = bend(client, sound)
        data = inner.pack()
        block = sha1(data).digest() + data
        sealed = ige_encrypt(block + bytes(-len(block) % 16) + padding, *client.aes())
        answer = ServerDHParamsOk(client.nonce, client.server_nonce, sealed)
        self.assertRaises(PeerError, client.receive, answer.pack())

    def test_fields(self) -> None:
        margin = 1 << 1984
        bent: list[dict[str, object]] = [
            {"nonce": OTHER},
            {"server_nonce": OTHER},
            {"g": 2},
            {"dh_prime": (DH_PRIME - 2).to_bytes(256, "big")},
            {"g_a": (margin - 1).to_bytes(256, "big")},
            {"g_a": (DH_PRIME - margin + 1).to_bytes(256, "big")},
        ]
        for fields in bent:
            self.refused(lambda _, inner, to=fields: (replace(inner, **to), b""))  # type: ignore[misc]

    def test_padding(self) -> None:
        self.refused(lambda _, inner: (inner, bytes(16)))

    def test_hash(self) -> None:
        client, server = make_client(), Server()
        until_dh_params(client, server)
        g_a = (1 << 2047).to_bytes(256, "big")
        inner = ServerDHInnerData(client.nonce, client.server_nonce, 3, DH_PRIME_BYTES, g_a, 1)
        block = bytes(20) + inner.pack()
        sealed = ige_encrypt(block + bytes(-len(block) % 16), *client.aes())
        answer = ServerDHParamsOk(client.nonce, client.server_nonce, sealed)
        self.assertRaises(PeerError, client.receive, answer.pack())

    def test_outer_nonces_and_size(self) -> None:
        bent: list[dict[str, bytes]] = [
            {"nonce": OTHER},
            {"server_nonce": OTHER},
            {"encrypted_answer": bytes(17)},
        ]
        for fields in bent:
            client, server = make_client(), Server()
            answer = parse_answer(server.ask(until_dh_params(client, server)) or b"")
            assert isinstance(answer, ServerDHParamsOk)
            self.assertRaises(PeerError, client.receive, replace(answer, **fields).pack())


class LastAnswerTests(SynchronousTestCase):
    def answered(self, refusals: int) -> tuple[ClientExchange, DHGenOk | DHGenRetry | DHGenFail]:
        client, server = make_client(), Server()
        server.refusals = refusals
        query = until_client_dh(client, server)
        for _ in range(3 if refusals == 4 else 0):
            query = client.receive(server.ask(query) or b"") or b""
        answer = parse_answer(server.ask(query) or b"")
        assert isinstance(answer, DHGenOk | DHGenRetry | DHGenFail)
        return client, answer

    def test_each_kind_has_its_own_hash(self) -> None:
        kinds: dict[int, type[DHGenOk | DHGenRetry | DHGenFail]] = {
            0: DHGenOk,
            1: DHGenRetry,
            4: DHGenFail,
        }
        for refusals, kind in kinds.items():
            for other in kinds.values():
                client, answer = self.answered(refusals)
                self.assertIsInstance(answer, kind)
                if other is not kind:
                    self.assertRaises(PeerError, client.receive, other(**asdict(answer)).pack())
                self.assertIsNone(client.key)

    def test_nonces(self) -> None:
        for field in ("nonce", "server_nonce", "new_nonce_hash"):
            client, answer = self.answered(0)
            bent = replace(answer, **{field: OTHER})
            self.assertRaises(PeerError, client.receive, bent.pack())

    def test_too_early_and_twice(self) -> None:
        client, answer = self.answered(0)
        client.receive(answer.pack())
        self.assertRaises(PeerError, client.receive, answer.pack())
        early, server = make_client(), Server()
        until_dh_params(early, server)
        bent = replace(answer, server_nonce=early.server_nonce)
        self.assertRaises(PeerError, early.receive, bent.pack())


class PlainTests(SynchronousTestCase):
    def test_query(self) -> None:
        self.assertEqual(plain_packet(BODY, NOW), pack("<qqi", 0, int(NOW * 2**32) & ~3, 4) + BODY)

    def test_answer(self) -> None:
        for padding in (b"", bytes(15)):
            self.assertEqual(open_plain_packet(pack("<qqi", 0, 5, 4) + BODY + padding), BODY)

    def test_bent_answers(self) -> None:
        for head in ((1, 5, 4), (0, 4, 4), (0, 7, 4), (0, 5, 5), (0, 5, -1)):
            self.assertRaises(PeerError, open_plain_packet, pack("<qqi", *head) + BODY)
        self.assertRaises(PeerError, open_plain_packet, pack("<qqi", 0, 5, 4) + BODY + bytes(16))
        self.assertRaises(PeerError, open_plain_packet, b"\x6c\xfe\xff\xff")


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        client = make_client()
        run(client, Server())
        assert client.key is not None
        self.key = client.key
        self.session = ClientSession(client.key, client.salt, SeededBytes(9))

    def test_known_answers(self) -> None:
        """Packets that other implementations made."""
        cases = load("mtproto")["mtproto2_messages"]
        cases = [case for case in cases if case["direction"] == "client to server"]
        self.assertTrue(cases)
        for case in cases:
            session = ClientSession(AuthKey(bytes.fromhex(case["auth_key"])), 0, SeededBytes(1))
            packet = session.seal(bytes.fromhex(case["plaintext"]))
            self.assertEqual(packet.hex(), case["packet"])
            self.assertEqual(f"{session.quick_ack_token:08x}", case["quick_ack_token"])

    def test_the_server_can_read_it(self) -> None:
        for size in range(0, 64, 4):
            packet = self.session.encrypt(bytes(size), NOW)
            plaintext, token = decrypt(self.key, packet)
            self.assertEqual(token, self.session.quick_ack_token)
            self.assertEqual(plaintext[32 : 32 + size], bytes(size))
            self.assertIn(len(plaintext) - 32 - size, range(12, 28))

    def test_numbers(self) -> None:
        """msg_ids grow by themselves; seq_nos count what is to be acknowledged."""
        ids = []
        for _ in range(3):
            self.session.encrypt(BODY, NOW)
            ids.append(self.session.msg_id)
        self.assertEqual(ids[0], int(NOW * 2**32) & ~3)
        self.assertEqual(ids, [ids[0], ids[0] + 4, ids[0] + 8])
        kinds = (True, False, False, True, False)
        self.assertEqual([self.session.next_seq_no(kind) for kind in kinds], [7, 8, 8, 9, 10])

    def answer(
        self, msg_id: int = 1, session_id: int = 0, length: int = 4, padding: int = 12
    ) -> bytes:
        """A packet of the server, padded as told."""
        header = pack("<qqqii", 7, session_id or self.session.session_id, msg_id, 1, length)
        plaintext = header + BODY + SeededBytes(2)(padding)
        return encrypt(self.key, plaintext, lambda _: b"", SERVER_X)

    def test_decrypt(self) -> None:
        for padding in (12, 28, 1020):
            for tail in (b"", bytes(3), bytes(15)):
                message = self.session.decrypt(self.answer(padding=padding) + tail)
                self.assertEqual(message, (7, self.session.session_id, 1, 1, BODY))

    def test_bent_messages(self) -> None:
        self.assertRaises(PeerError, self.session.decrypt, self.answer(msg_id=4))
        self.assertRaises(PeerError, self.session.decrypt, self.answer(session_id=5))
        for length in (-4, 3, 8, 2**31 - 4):
            self.assertRaises(PeerError, self.session.decrypt, self.answer(length=length))
        self.assertRaises(PeerError, self.session.decrypt, self.answer(padding=1036))

    def test_bent_packets(self) -> None:
        packet = self.answer()
        for place in (0, 8, 24, len(packet) - 1):
            bent = packet[:place] + bytes([packet[place] ^ 1]) + packet[place + 1 :]
            self.assertRaises(PeerError, self.session.decrypt, bent)
        self.assertRaises(PeerError, self.session.decrypt, packet[:40])
        self.assertRaises(PeerError, self.session.decrypt, self.session.encrypt(BODY, NOW))

    def test_each_way_has_its_own_key(self) -> None:
        secret, msg_key = self.key.secret, bytes(16)
        self.assertNotEqual(derive_aes(secret, msg_key, 0), derive_aes(secret, msg_key, SERVER_X))
