"""No secret reaches the log, at any level, in any spelling."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from unittest import TestCase

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gnetway.testing import (
    Bends,
    ClientExchange,
    ClientSession,
    Wish,
    open_plain_packet,
    plain_packet,
)
from gnetway.tl.key_exchange import ClientDHInnerData, SetClientDHParams
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.live import handler
from tests.live.client import LiveClient, now
from tests.live.gateway import Gateway, rsa_pem

#: Characters of a spelling that are searched for: shorter ones could come up by chance.
SHORTEST = 12


def spellings(secret: bytes) -> Iterator[str]:
    """Yield how 8 bytes or more may stand in a log: as text, escaped, in hex, as a number."""
    for piece in (secret, secret[:8], secret[-8:], secret[:16], secret[-16:]):
        yield piece.hex()
        yield piece.hex(" ")
        yield piece.hex(":")
        yield "".join(f"\\x{byte:02x}" for byte in piece)
        yield repr(piece)[2:-1]
        yield piece.decode("latin-1")
        for order in ("little", "big"):
            for signed in (False, True):
                number = int.from_bytes(piece, order, signed=signed)
                yield str(abs(number))
                yield f"{abs(number):x}"


def leaks(log: str, secrets: dict[str, bytes]) -> list[str]:
    """Return the names of the secrets that can be read in the log."""
    folded = log.casefold()
    return [
        name
        for name, secret in secrets.items()
        if any(
            len(spelling) >= SHORTEST and spelling.casefold() in folded
            for spelling in spellings(secret)
        )
    ]


def rsa_secrets() -> dict[str, bytes]:
    key = load_pem_private_key(rsa_pem(), None)
    assert isinstance(key, RSAPrivateKey)
    numbers = key.private_numbers()
    parts = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dmp1": numbers.dmp1}
    secrets = {
        f"RSA {name}": part.to_bytes((part.bit_length() + 7) // 8, "big")
        for name, part in parts.items()
    }
    secrets["PEM"] = b"".join(rsa_pem().splitlines()[2:6])
    return secrets


def exchange_secrets(name: str, exchange: ClientExchange) -> dict[str, bytes]:
    key, iv = exchange.aes()
    secrets = {
        "nonce": exchange.nonce,
        "new_nonce": exchange.new_nonce,
        "server_nonce": exchange.server_nonce,
        "exponent": exchange.exponent.to_bytes(64, "big"),
        "AES key": key,
        "AES iv": iv,
    }
    if exchange.candidate is not None:
        secrets["auth_key"] = exchange.candidate.secret
    return {f"{name}: {what}": secret for what, secret in secrets.items() if secret}


class LeaksTests(TestCase):
    """The search itself finds what it is to find."""

    def test_each_spelling(self) -> None:
        secret = os.urandom(32)
        number = int.from_bytes(secret[:8], "little")
        for line in (
            secret.hex(),
            secret.hex().upper(),
            repr(secret),
            str(int.from_bytes(secret, "big")),
            f"salt={number}",
            f"{secret[-16:].hex(' ')}",
        ):
            self.assertEqual(leaks(f"a log: {line}!", {"it": secret}), ["it"], line)
        self.assertEqual(leaks("a log without it", {"it": secret}), [])


class SecrecyTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        # Both forms of the log.
        self.gateway.twistd_options = ["--logfile=-"]
        self.gateway.config["Log"] = {"Mode": "file", "Level": "debug"}
        self.gateway.write_config()
        self.gateway.start()
        self.secrets = rsa_secrets()

    def test_the_whole_life_of_a_gateway(self) -> None:
        session = self._talk()
        self._spoil_exchanges()
        self._spoil_messages(session)
        self.gateway.stop()
        lines = (self.gateway.folder / "logs" / "gnetway.log").read_text()
        contents = "\n".join(json.loads(line)["content"] for line in lines.splitlines())
        # As the lines are written, too: who reads them may not undo what JSON escapes.
        for log in (self.gateway.log, lines, contents):
            # It has its lowest level and the handler's traceback, so it had its chance.
            self.assertIn(handler.DEBUG_LINE, log)
            self.assertIn("a fault of the handler", log)
            self.assertIn("Server Shut Down", log)
            self.assertEqual(leaks(log, self.secrets), [])

    def _talk(self) -> ClientSession:
        for style in STYLES:
            with LiveClient(self.gateway, style) as client:
                session = client.make_key(Wish(legacy=style.obfuscated))
                assert client.exchange is not None
                self.secrets |= exchange_secrets(str(style), client.exchange)
                payload = os.urandom(64)
                self.secrets[f"{style}: payload"] = payload
                client.call(session, handler.echo(payload))
                client.call(session, handler.push(payload))
                client.call(session, handler.fault(payload))
                self.secrets[f"{style}: salt"] = session.salt.to_bytes(8, "little", signed=True)
        return session

    def _spoil_exchanges(self) -> None:
        def other_hash(block: bytes) -> bytes:
            return bytes((block[0] ^ 1,)) + block[1:]

        def small_g_b(inner: ClientDHInnerData) -> ClientDHInnerData:
            return replace(inner, g_b=b"\x01")

        def short(query: SetClientDHParams) -> SetClientDHParams:
            return replace(query, encrypted_data=query.encrypted_data[:-5])

        spoilt = {
            "inner data": Bends(inner_block=lambda block: block[4:] + bytes(4)),
            "hash": Bends(client_block=other_hash),
            "g_b": Bends(client_inner=small_g_b),
            "length": Bends(set_client_dh=short),
        }
        for name, bends in spoilt.items():
            exchange = ClientExchange([self.gateway.rsa], os.urandom, None, bends)
            with LiveClient(self.gateway) as client:
                query: bytes | None = exchange.begin()
                while query is not None:
                    client.send(plain_packet(query, now()))
                    packet = client.receive()
                    assert isinstance(packet, bytes)
                    if len(packet) < 8:
                        break
                    query = exchange.receive(open_plain_packet(packet))
                self.assertIsNotNone(query, name)
            self.secrets |= exchange_secrets(f"spoilt {name}", exchange)

    def _spoil_messages(self, known: ClientSession) -> None:
        good = known.encrypt(Ping(1).pack(), now())
        marked = os.urandom(32)
        self.secrets["spoilt message"] = marked
        for packet in (
            good[:8] + marked + good[40:],
            good[:-16] + marked[:16],
            good + marked,
            good[:8] + marked,
            known.encrypt(marked, now()),
            known.seal(marked),
        ):
            with LiveClient(self.gateway) as client:
                client.send(packet)
                client.socket.settimeout(0.2)
                client.ended()
