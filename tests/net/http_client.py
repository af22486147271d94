"""A gateway that speaks HTTP in memory, and clients of it."""

from collections.abc import Mapping
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed

from gnetway.admission.accounts import AccountLimits
from gnetway.crypto.auth_key import AuthKey
from gnetway.mtproto.message import pack_message
from gnetway.net.http.answers import HttpSettings
from gnetway.net.http.channel import GatewayHttpFactory
from gnetway.net.http.sessions import HttpServices
from gnetway.testing import (
    ClientExchange,
    ClientSession,
    ServerMessage,
    open_plain_packet,
    plain_packet,
)
from tests.connection.talk import SALT
from tests.fakes import Sent
from tests.net.gateway import Gateway
from tests.net.transport import MemoryTransport
from tests.strategies import SeededBytes

PATH = "/apiw1"


class Answer(NamedTuple):
    """One HTTP answer; names of fields are in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


def read_answers(data: bytes) -> list[Answer]:
    """Read whole answers, strictly; nothing may be left over."""
    answers = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, "an answer without an end of its head"
        status_line, *lines = head.decode("ascii").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        fields: dict[str, str] = {}
        for line in lines:
            name, value = line.split(": ", 1)
            assert name.lower() not in fields, "a field twice"
            fields[name.lower()] = value
        if status == "100":
            continue
        size = 0 if status == "204" else int(fields["content-length"])
        assert len(data) >= size, "a body cut short"
        answers.append(Answer(int(status), fields, data[:size]))
        data = data[size:]
    return answers


def post(body: bytes, path: str = PATH, fields: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a POST."""
    return request("POST", path, {"Content-Length": str(len(body)), **(fields or {})}) + body


def request(
    method: str, path: str, fields: Mapping[str, str] | None = None, version: str = "HTTP/1.1"
) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {path} {version}", "Host: x"]
    lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunked(*chunks: bytes) -> bytes:
    """Return a body in chunks."""
    parts = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"".join(parts) + b"0\r\n\r\n"


class HttpTransport(MemoryTransport):
    """What Twisted's line receiver asks of a transport as well."""

    @property
    def disconnecting(self) -> bool:
        return self.closing


class HttpGateway(Gateway):
    """With ``held``, requests wait in ``asked`` for the test to answer them.

    Otherwise the backend answers with ``answers``, one after another, then with nothing.
    """

    def __init__(
        self,
        settings: HttpSettings | None = None,
        max_waiting: int = 256,
        account_limits: AccountLimits | None = None,
    ) -> None:
        super().__init__(max_waiting=max_waiting, account_limits=account_limits)
        self.http = HttpServices(self.services, settings or HttpSettings())
        self.http_factory = GatewayHttpFactory(self.http)
        self.held = False
        self.asked: list[Deferred[bytes]] = []
        self.answers: list[bytes] = []
        self.backend.on_http = self._answer

    def _answer(self, sent: Sent) -> Deferred[bytes]:
        if not self.held:
            return succeed(self.answers.pop(0) if self.answers else b"")
        self.asked.append(Deferred())
        return self.asked[-1]

    def browse(self, client_ip: str = "192.0.2.1") -> "HttpLink":
        """Connect."""
        self._links += 1
        return HttpLink(self, client_ip, self._links)

    def push(self, session: ClientSession, body: bytes, msg_id: int = 1, seq_no: int = 0) -> bool:
        """Let the backend say something to a session."""
        plaintext = said(session, body, msg_id, seq_no)
        return self.registry.push(session.key.auth_key_id, session.session_id, plaintext)


def said(session: ClientSession, body: bytes, msg_id: int = 1, seq_no: int = 0) -> bytes:
    """Return a plaintext of the backend."""
    return pack_message(3, session.session_id, msg_id, seq_no, body)


class HttpLink:
    """One connection of a client."""

    def __init__(self, gateway: HttpGateway, client_ip: str, seed: int) -> None:
        self.gateway = gateway
        self.chance = SeededBytes(seed)
        self.now = gateway.wall()
        self.channel = gateway.http_factory.buildProtocol(None)
        self.transport = HttpTransport(gateway.clock, self.channel, client_ip)
        self.channel.makeConnection(self.transport)

    def feed(self, data: bytes) -> None:
        self.transport.client_sends(data)
        self.gateway.settle()

    def answers(self) -> list[Answer]:
        """Return the answers that have come since the last time."""
        self.gateway.settle()
        return read_answers(self.transport.client_takes())

    def answer(self) -> Answer:
        """Return the one answer that has come."""
        (answer,) = self.answers()
        return answer

    def ask(self, data: bytes) -> Answer:
        self.feed(data)
        return self.answer()

    def status(self, data: bytes) -> int:
        return self.ask(data).status

    @property
    def is_open(self) -> bool:
        transport = self.transport
        return not (
            transport.lost or transport.closing or transport.aborted or transport.half_closed
        )

    def leave(self) -> None:
        self.transport.client_leaves()
        self.gateway.settle()

    # -- what goes in the bodies ---------------------------------------------------------------

    def query(self, body: bytes | None) -> None:
        assert body is not None, "the exchange is over"
        self.feed(post(plain_packet(body, self.now)))

    def plain_answer(self) -> bytes:
        answer = self.answer()
        assert answer.status == 200
        return open_plain_packet(answer.body)

    def session(self, key: AuthKey, session_id: int = 0) -> ClientSession:
        return ClientSession(key, SALT, self.chance, session_id)

    def say(self, session: ClientSession, body: bytes, content_related: bool = True) -> None:
        now = self.gateway.wall()
        self.feed(post(session.encrypt(body, now, content_related)))

    def heard(self, session: ClientSession) -> list[ServerMessage]:
        """Return the messages that have come for a session since the last time."""
        answers = self.answers()
        assert all(answer.status == 200 for answer in answers), answers
        return [session.decrypt(answer.body) for answer in answers]


def make_key(gateway: HttpGateway, client: ClientExchange) -> AuthKey:
    """Make a key, every query on a connection of its own."""
    query: bytes | None = client.begin()
    while query is not None:
        link = gateway.browse()
        link.query(query)
        query = client.receive(link.plain_answer())
        link.leave()
    assert client.key is not None
    return client.key
