"""A key exchange with everything at hand: what it wants is done at once, or kept on request."""

from collections.abc import Callable
from traceback import format_exception

from gnetway.crypto.auth_key import PQ, DHSecret, make_secret
from gnetway.errors import HandshakeError
from gnetway.handshake.exchange import (
    ExchangeSetup,
    KeyExchange,
    Reply,
    StoreWanted,
    WorkWanted,
)
from gnetway.testing import Bends, ClientExchange, Wish
from tests.crypto.chance import rsa_key
from tests.strategies import SeededBytes

#: The example of the documents.
PQ_OF_DOCUMENTS = PQ(0x17ED48941A08F981, 0x494C553B, 0x53911073)
NOW = 1_800_000_000.75


def make_setup(
    strict_dc: int | None = None, allow_legacy: bool = True, max_temp_seconds: int = 90000
) -> ExchangeSetup:
    keys = {rsa_key().fingerprint: rsa_key()}
    return ExchangeSetup(keys, strict_dc, allow_legacy, max_temp_seconds)


def make_client(
    seed: int = 1, wish: Wish | None = None, bends: Bends | None = None
) -> ClientExchange:
    return ClientExchange([rsa_key()], SeededBytes(seed), wish, bends)


class Server:
    """One run. ``stores`` holds each StoreWanted; ``refusals`` is how many of them to refuse."""

    def __init__(self, setup: ExchangeSetup | None = None, seed: int = 100) -> None:
        self._random_bytes = SeededBytes(seed)
        self.secrets: list[DHSecret] = []
        self.stores: list[StoreWanted] = []
        self.refusals = 0
        self.exchange = KeyExchange(
            setup or make_setup(), PQ_OF_DOCUMENTS, self.take_secret, self._random_bytes
        )

    def take_secret(self) -> DHSecret:
        self.secrets.append(make_secret(self._random_bytes))
        return self.secrets[-1]

    def ask(self, query: bytes, now: float = NOW) -> bytes | None:
        """Return the answer to a query, None for silence."""
        self.exchange.receive(query, now)
        return self.finish()

    def finish(self) -> bytes | None:
        """Do all that is wanted, and return the answer."""
        answer = None
        while (event := self.exchange.next_event()) is not None:
            if isinstance(event, Reply):
                answer = event.body
            elif isinstance(event, WorkWanted):
                self.work(event)
            else:
                self.stores.append(event)
                self.exchange.stored(len(self.stores) > self.refusals)
        return answer

    def work(self, wanted: WorkWanted) -> None:
        try:
            result = wanted.work()
        except HandshakeError as error:
            self.exchange.work_failed(error)
        else:
            self.exchange.work_done(result)

    def next_work(self) -> WorkWanted:
        event = self.exchange.next_event()
        assert isinstance(event, WorkWanted)
        return event


def run(client: ClientExchange, server: Server) -> None:
    """Let both ends make a key."""
    query: bytes | None = client.begin()
    while query is not None:
        answer = server.ask(query)
        assert answer is not None
        query = client.receive(answer)


def until_dh_params(client: ClientExchange, server: Server) -> bytes:
    """Run the first step; return req_DH_params, unsent."""
    return _next(client, server.ask(client.begin()))


def until_client_dh(client: ClientExchange, server: Server) -> bytes:
    """Run the first two steps; return set_client_DH_params, unsent."""
    return _next(client, server.ask(until_dh_params(client, server)))


def _next(client: ClientExchange, answer: bytes | None) -> bytes:
    assert answer is not None
    query = client.receive(answer)
    assert query is not None
    return query


def secrets_of(client: ClientExchange, server: Server) -> list[bytes]:
    """Everything that no text may hold, as bytes."""
    found = [client.nonce, client.new_nonce, client.server_nonce, *client.aes()]
    found += [secret.g_a for secret in server.secrets]
    if client.exponent:
        found.append(client.exponent.to_bytes(64, "big"))
    for key in (client.candidate, client.key):
        if key is not None:
            found += [key.secret, key.aux_hash]
    return [secret for secret in found if secret]


def told(text: str, secrets: list[bytes]) -> list[bytes]:
    """Which of ``secrets`` a text tells, in any of the usual spellings."""
    spellings: list[Callable[[bytes], str]] = [
        lambda secret: secret.hex(),
        lambda secret: repr(secret)[2:-1],
        lambda secret: str(int.from_bytes(secret, "big")),
        lambda secret: str(int.from_bytes(secret, "little")),
        lambda secret: str(int.from_bytes(secret, "little", signed=True)),
    ]
    return [secret for secret in secrets if any(spell(secret) in text for spell in spellings)]


def full_text(error: Exception) -> str:
    """All that a log could show of an error."""
    return repr(error) + "".join(format_exception(error))
