"""No text tells a secret, and no secret outlives its run."""

import contextlib
from inspect import isdatadescriptor

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey, DHSecret
from gnetway.errors import HandshakeError
from gnetway.handshake import checks
from gnetway.handshake.exchange import KeyExchange, StoreWanted, WorkWanted
from gnetway.testing import ClientExchange, KeyGivenUp
from tests.handshake.server import (
    NOW,
    Server,
    full_text,
    make_client,
    run,
    secrets_of,
    told,
    until_client_dh,
)


def held(client: ClientExchange, server: Server) -> list[str]:
    """Names of the attributes of a run that still hold a secret."""
    public = (client.nonce, client.server_nonce)
    secrets = [secret for secret in secrets_of(client, server) if secret not in public]
    # Slots are descriptors of the class, and so are the attributes of a compiled one.
    names = [name for name, kind in vars(KeyExchange).items() if isdatadescriptor(kind)]
    attributes = {name: getattr(server.exchange, name) for name in sorted(names)}
    return [
        name
        for name, value in attributes.items()
        if isinstance(value, AuthKey | DHSecret) or told(repr(value), secrets)
    ]


class SecrecyTests(SynchronousTestCase):
    def test_secrets_are_wiped_after_use(self) -> None:
        for refusals in (0, 4):
            client, server = make_client(), Server()
            server.refusals = refusals
            with contextlib.suppress(KeyGivenUp):
                run(client, server)
            self.assertTrue(server.exchange.done)
            self.assertEqual([secret.exponent for secret in server.secrets], [0])
            self.assertEqual(held(client, server), [])

    def test_secrets_are_wiped_when_the_run_dies(self) -> None:
        client, server = make_client(), Server()
        until_client_dh(client, server)
        self.assertEqual(held(client, server), ["_aes", "_new_nonce", "_secret"])
        self.assertRaises(HandshakeError, server.ask, b"")
        self.assertEqual([secret.exponent for secret in server.secrets], [0])
        self.assertEqual(held(client, server), [])

    def test_nothing_shows_a_secret(self) -> None:
        """Neither the run nor what it says, at any point."""
        client, server = make_client(), Server()
        texts, query = [], client.begin()
        for _ in range(3):
            server.exchange.receive(query, NOW)
            texts.append(repr(server.exchange))
            while (event := server.exchange.next_event()) is not None:
                texts.append(repr(event))
                if isinstance(event, WorkWanted):
                    result = event.work()
                    texts.append(repr(result))
                    server.exchange.work_done(result)
                elif isinstance(event, StoreWanted):
                    salt = event.salt
                    server.exchange.stored(True)
                else:
                    query = client.receive(event.body) or b""
        self.assertIsNotNone(client.key)
        self.assertEqual(len(texts), 3 + 3 + 2 * 2 + 1)
        shown = "\n".join(texts)
        self.assertEqual(told(shown, secrets_of(client, server)), [])
        self.assertNotIn(str(salt), shown)

    def test_a_fault_shows_no_secret(self) -> None:
        client, server = make_client(), Server()
        server.exchange.receive(until_client_dh(client, server), NOW)
        work = server.next_work()
        server.secrets[0].wipe()
        fault = self.assertRaises(ValueError, work.work)
        error = self.assertRaises(checks.WorkFailed, server.exchange.work_failed, fault)
        self.assertEqual(told(full_text(error), secrets_of(client, server)), [])
