"""What a client says and hears over a link, whatever carries the bytes."""

from gnetway.crypto.auth_key import AuthKey
from gnetway.testing import (
    ClientExchange,
    ClientLink,
    ClientSession,
    QuickAck,
    ServerMessage,
    Style,
    open_plain_packet,
    plain_packet,
)
from tests.strategies import SeededBytes

#: The salt of a client's messages.
SALT = 99


class Talk:
    """A subclass brings the bytes over: ``feed``, and puts what comes back into ``got``."""

    def __init__(self, style: Style, chance: SeededBytes, now: float) -> None:
        self.chance = chance
        self.client = ClientLink(style, chance)
        #: The client's clock, in Unix seconds.
        self.now = now
        self.got: list[bytes | QuickAck] = []

    def feed(self, data: bytes) -> None:
        raise NotImplementedError

    def session(self, key: AuthKey, session_id: int = 0) -> ClientSession:
        return ClientSession(key, SALT, self.chance, session_id)

    def send(self, packet: bytes, quick_ack: bool = False) -> None:
        self.feed(self.client.packet(packet, quick_ack))

    def say(self, session: ClientSession, body: bytes, quick_ack: bool = False) -> None:
        self.send(session.encrypt(body, self.now), quick_ack)

    def packets(self) -> list[bytes]:
        """Return and forget the packets that came; nothing else may have come."""
        got, self.got = self.got, []
        assert not self.client.unfinished, "the server stopped in the middle of a packet"
        assert not any(isinstance(one, QuickAck) for one in got), "a quick ack nobody asked for"
        return [packet for packet in got if isinstance(packet, bytes)]

    def said(self, session: ClientSession) -> list[ServerMessage]:
        """Return and forget the messages that came for a session."""
        return [session.decrypt(packet) for packet in self.packets()]

    def code(self) -> int:
        """Return and forget the transport error that came, 0 if none."""
        packets = self.packets()
        assert len(packets) < 2, "more than a transport error"
        return int.from_bytes(packets[0][:4], "little", signed=True) if packets else 0

    def query(self, body: bytes | None) -> None:
        """Send a query of the key exchange."""
        assert body is not None, "the exchange is over"
        self.send(plain_packet(body, self.now))

    def answer(self) -> bytes:
        """Return the one unencrypted answer that came."""
        (packet,) = self.packets()
        return open_plain_packet(packet)

    def ask(self, body: bytes | None) -> bytes:
        self.query(body)
        return self.answer()

    def until_client_dh(self, client: ClientExchange) -> bytes:
        """Run the first two steps; return set_client_DH_params, unsent."""
        query = client.receive(self.ask(client.receive(self.ask(client.begin()))))
        assert query is not None
        return query

    def make_key(self, client: ClientExchange) -> AuthKey:
        query: bytes | None = client.begin()
        while query is not None:
            query = client.receive(self.ask(query))
        assert client.key is not None
        return client.key
