"""A client that others wrote makes a key, with every check of its own."""

from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from telethon.crypto import rsa as telethon_rsa
from telethon.extensions import BinaryReader
from telethon.network import authenticator
from twisted.trial.unittest import SynchronousTestCase

from tests.crypto.chance import rsa_key
from tests.handshake.server import Server
from tests.strategies import SeededBytes


class Sender:
    """Stands where Telethon has its connection."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def send(self, request: object) -> object:
        answer = self._server.ask(bytes(request))  # type: ignore[call-overload]
        return BinaryReader(answer).tgread_object()


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


class TelethonTests(SynchronousTestCase):
    def test_makes_the_same_key(self) -> None:
        telethon_rsa.add_key(rsa_key().public_pem.decode(), old=False)
        self.addCleanup(telethon_rsa._server_keys.pop, rsa_key().fingerprint)
        for seed in range(5):
            # Seeded, because of 256 keys it misreads the one that begins with a zero byte.
            self.patch(authenticator, "os", SimpleNamespace(urandom=SeededBytes(seed)))
            server = Server(seed=seed + 100)
            key, _ = finish(authenticator.do_authentication(Sender(server)))
            (wanted,) = server.stores
            self.assertEqual(key.key, wanted.key.secret)
            self.assertEqual(key.key_id, int.from_bytes(wanted.key.id_bytes, "little"))
