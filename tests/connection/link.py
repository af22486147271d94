"""A client against a Connection in memory: what the shell would do is done at once, or kept."""

from collections.abc import Iterable

from gnetway.admission.accounts import Accounts
from gnetway.connection.connection import Connection
from gnetway.connection.events import (
    BindReceived,
    ConnectionSetup,
    Event,
    ExchangeWanted,
    KeyWanted,
    MessageReceived,
    SliceTaken,
)
from gnetway.crypto.auth_key import AuthKey, DHSecret, make_secret
from gnetway.errors import HandshakeError
from gnetway.handshake.exchange import ExchangeSetup, KeyExchange, StoreWanted, WorkWanted
from gnetway.handshake.pending import PendingExchanges
from gnetway.testing import Style
from gnetway.tl.key_exchange import ReqPq
from tests.connection.styles import ABRIDGED
from tests.connection.talk import Talk
from tests.handshake.server import NOW, PQ_OF_DOCUMENTS, make_setup
from tests.strategies import SeededBytes

__all__ = ["NOW"]

LIFETIME_SECONDS = 600.0

#: What the other clock shows, which nothing else knows.
MONOTONIC = 5000.75


class Secrets:
    """Diffie-Hellman secrets for exchanges, remembered for the test to look for."""

    def __init__(self, random_bytes: SeededBytes) -> None:
        self._random_bytes = random_bytes
        self.taken: list[DHSecret] = []

    def take(self) -> DHSecret:
        self.taken.append(make_secret(self._random_bytes))
        return self.taken[-1]


def make_pending(
    secrets: Secrets,
    random_bytes: SeededBytes,
    setup: ExchangeSetup | None = None,
    max_exchanges: int = 100,
    accounts: Accounts | None = None,
) -> PendingExchanges:
    chosen = setup or make_setup()

    def begin(query: ReqPq) -> KeyExchange:
        return KeyExchange(chosen, PQ_OF_DOCUMENTS, secrets.take, random_bytes)

    return PendingExchanges(max_exchanges, LIFETIME_SECONDS, begin, accounts)


def make_connection_setup(seed: int = 1000, max_keys: int = 8) -> ConnectionSetup:
    chance = SeededBytes(seed)
    pending = make_pending(Secrets(chance), chance)
    return ConnectionSetup(pending, chance, max_keys=max_keys)


class Link(Talk):
    """``keys`` answer KeyWanted; what is not answered at once is in ``wanted``.

    ``messages`` and ``binds`` are what the client got through; ``got`` is what it heard.
    """

    def __init__(
        self,
        style: Style = ABRIDGED,
        keys: Iterable[AuthKey] = (),
        setup: ConnectionSetup | None = None,
        seed: int = 1,
    ) -> None:
        super().__init__(style, SeededBytes(seed), NOW)
        self.setup = setup or make_connection_setup(seed + 1000)
        self.connection = Connection(self.setup)
        self.keys = {key.auth_key_id: key for key in keys}
        #: Whether work and stores wait for the test.
        self.held = False
        self.wanted: list[Event] = []
        self.messages: list[MessageReceived] = []
        self.binds: list[BindReceived] = []
        #: How many slices of long packets were taken.
        self.slices = 0

    def feed(self, data: bytes) -> None:
        self.connection.receive(data)
        self.pump()

    def pump(self) -> None:
        while (event := self.connection.next_event(self.now, MONOTONIC)) is not None:
            self._hear(event)
        self.read()

    def read(self) -> None:
        self.got += self.client.receive(self.connection.output.data_to_send())

    def _hear(self, event: Event) -> None:
        if isinstance(event, SliceTaken):
            self.slices += 1
        elif isinstance(event, MessageReceived):
            self.messages.append(event)
            if event.quick_ack_token:
                self.connection.output.send_quick_ack(event.quick_ack_token)
        elif isinstance(event, BindReceived):
            self.binds.append(event)
        elif isinstance(event, KeyWanted) and event.auth_key_id in self.keys:
            self.connection.provide_key(self.keys[event.auth_key_id])
        elif isinstance(event, KeyWanted) or self.held:
            self.wanted.append(event)
        else:
            self.do(event)

    def do(self, event: Event) -> None:
        """Do one thing that an exchange wants; held, what follows waits as well."""
        assert isinstance(event, ExchangeWanted)
        exchange, wanted = event
        if isinstance(wanted, WorkWanted):
            try:
                result = wanted.work()
            except HandshakeError as error:
                exchange.work_failed(error)
            else:
                exchange.work_done(result)
        else:
            assert isinstance(wanted, StoreWanted)
            key = wanted.key
            self.keys[key.auth_key_id] = key
            exchange.stored(True)
        self.step_ended(exchange)

    def step_ended(self, exchange: KeyExchange) -> None:
        """Let the client hear what came of a step, or do what follows."""
        said = exchange.next_event()
        if isinstance(said, WorkWanted | StoreWanted):
            self._hear(ExchangeWanted(exchange, said))
        else:
            self.connection.send_exchange_answer(exchange, self.now)
