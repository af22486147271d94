"""Clients over HTTP that ask and read as the official ones do.

``PlainPlayer``    one connection, a request after another
``WebAPlayer``     leaves a container at its first error, and acknowledges whatever is no msgs_ack
                   by a request with http_wait(0), numbered as content; a long poll beside that
``DesktopPlayer``  a pool of six connections, with http_wait(100, 30, 25000) in each request
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from os import urandom
from socket import SHUT_RDWR
from threading import Condition, Lock, Thread, local

from gnetway.crypto.rsa import RsaKey
from gnetway.testing import ClientExchange, ClientSession, open_plain_packet, plain_packet
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import (
    BadServerSalt,
    ContainedMessage,
    HttpWait,
    MsgsAck,
    NewSessionCreated,
    RpcErrorObject,
    RpcResult,
    pack_container,
    parse_container,
)
from tests.live.client import constructor_of, now
from tests.live.gateway import PATIENCE_SECONDS

#: What a browser and Qt open for a host.
POOL_SIZE = 6

WEB_A_POLL = HttpWait(500, 150, 3000).pack()
NO_WAIT = HttpWait(0, 0, 0).pack()
DESKTOP_WAIT = HttpWait(100, 30, 25_000).pack()


class RefusedStatus(Exception):
    """The gateway has answered with a status other than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def post(link: HTTPConnection, body: bytes) -> bytes:
    """Send a packet and return the one that answers it.

    :raises RefusedStatus: the status is not 200.
    """
    link.request("POST", "/apiw1", body)
    answer = link.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RefusedStatus(answer.status, data)
    return data


def make_session(port: int, rsa: RsaKey) -> ClientSession:
    """Make a key over HTTP, and return a session with it."""
    link = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    exchange = ClientExchange([rsa], urandom)
    query: bytes | None = exchange.begin()
    while query is not None:
        query = exchange.receive(open_plain_packet(post(link, plain_packet(query, now()))))
    link.close()
    assert exchange.key is not None
    return ClientSession(exchange.key, exchange.salt, urandom)


class LeftAtError(Exception):
    """The reader was at an error, where some clients stop to read."""


class Player:
    """What all have in common; ``results`` are by msg_id of the call, in the order of reading.

    An error is in the place of a result as an RpcErrorObject. ``told`` are the msg_ids of all
    messages that were read. ``requests`` counts them.
    """

    leaves_at_errors = False

    def __init__(self, port: int, session: ClientSession) -> None:
        self.session = session
        self.results: dict[int, bytes | RpcErrorObject] = {}
        self.told: list[int] = []
        self.requests = 0
        self._port = port
        self._lock = Lock()
        self.changed = Condition(self._lock)

    def link(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)

    def packet(self, *bodies: tuple[bytes, bool]) -> tuple[bytes, list[int]]:
        """Return a packet of messages, each with whether it is content, and their msg_ids."""
        with self._lock:
            self.requests += 1
            session = self.session
            messages = [
                ContainedMessage(session.next_msg_id(now()), session.next_seq_no(content), body)
                for body, content in bodies
            ]
            ids = [message.msg_id for message in messages]
            if len(messages) == 1:
                return session.encrypt_message(*messages[0]), ids
            return session.encrypt(pack_container(messages), now(), content_related=False), ids

    def read(self, packet: bytes) -> None:
        """Take in an answer as the client does."""
        with self.changed:
            message = self.session.decrypt(packet)
            with suppress(LeftAtError):
                self.process(message.msg_id, message.body)
            self.changed.notify_all()

    def process(self, msg_id: int, body: bytes) -> None:
        """Take in a message, and those in it.

        :raises LeftAtError: it was an error, and the client reads no more.
        """
        kind = constructor_of(body)
        if kind == Constructor.MSG_CONTAINER:
            for inner in parse_container(body, 1024):
                self.process(inner.msg_id, inner.body)
            return
        assert msg_id not in self.told, "a message twice"
        self.told.append(msg_id)
        if kind == Constructor.RPC_RESULT:
            call, result = RpcResult.parse(body)
            if constructor_of(result) == Constructor.RPC_ERROR:
                self.results[call] = RpcErrorObject.parse(result)
                if self.leaves_at_errors:
                    raise LeftAtError
            else:
                self.results[call] = result
        elif kind == Constructor.NEW_SESSION_CREATED:
            self.session.salt = NewSessionCreated.parse(body).server_salt
        elif kind == Constructor.BAD_SERVER_SALT:
            raise AssertionError(BadServerSalt.parse(body))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until what was read fulfils a condition."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_SECONDS), len(self.results)


class PlainPlayer(Player):
    """One connection."""

    def __init__(self, port: int, session: ClientSession) -> None:
        super().__init__(port, session)
        self._link = self.link()

    def ask(self, *bodies: bytes) -> list[int]:
        """Send calls in one request, and read its answer; returns their msg_ids."""
        packet, ids = self.packet(*((body, True) for body in bodies))
        self.read(post(self._link, packet))
        return ids

    def collect(self, count: int) -> None:
        """Ask for what there is until so many results were read."""
        while len(self.results) < count:
            before = len(self.told)
            packet, _ = self.packet((HttpWait(0, 0, 5000).pack(), False))
            self.read(post(self._link, packet))
            assert len(self.told) > before, f"no more than {len(self.results)} results"

    def close(self) -> None:
        self._link.close()


class WebAPlayer(Player):
    """Two loops, as MTProtoSender has them: one sends, the other waits."""

    leaves_at_errors = True

    def __init__(self, port: int, session: ClientSession) -> None:
        super().__init__(port, session)
        self.fault: BaseException | None = None
        self._going = True
        self._unsent: list[bytes] = []
        self._unacknowledged: list[int] = []
        self._sent: list[int] = []
        self._threads = [
            Thread(target=self._run, args=(loop,), daemon=True)
            for loop in (self._send_loop, self._poll_loop)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, calls: Sequence[bytes]) -> list[int]:
        """Send calls in one request; returns their msg_ids."""
        with self.changed:
            self._unsent += calls
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: not self._unsent, PATIENCE_SECONDS)
            return self._sent

    def process(self, msg_id: int, body: bytes) -> None:
        """See Player; all is acknowledged but a msgs_ack."""
        if constructor_of(body) != Constructor.MSGS_ACK:
            self._unacknowledged.append(msg_id)
            super().process(msg_id, body)

    def close(self) -> None:
        """End both loops; raises what went wrong in them."""
        self._going = False
        with self.changed:
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()
        if self.fault is not None:
            raise self.fault

    def _run(self, loop: Callable[[HTTPConnection], None]) -> None:
        link = self.link()
        try:
            loop(link)
        except (Exception, AssertionError) as fault:  # noqa: BLE001 - told by close()
            self.fault = fault
        link.close()

    def _send_loop(self, link: HTTPConnection) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(
                    lambda: self._unsent or self._unacknowledged or not self._going
                )
                if not self._going:
                    return
                calls, self._unsent = self._unsent, []
                acks, self._unacknowledged = self._unacknowledged, []
            bodies = [(call, True) for call in calls]
            if acks:
                bodies.append((MsgsAck(acks).pack(), False))
            packet, ids = self.packet(*bodies, (NO_WAIT, True))
            with self.changed:
                if calls:
                    self._sent = ids[: len(calls)]
                self.changed.notify_all()
            self.read(post(link, packet))

    def _poll_loop(self, link: HTTPConnection) -> None:
        # It begins once something was heard.
        self.wait_for(lambda: bool(self.told) or not self._going)
        while self._going:
            packet, _ = self.packet((WEB_A_POLL, True))
            self.read(post(link, packet))


class DesktopPlayer(Player):
    """A pool of connections, where a request waits inside the client until one is free.

    ``sent`` are calls by their msg_ids, in whichever order the connections have taken them.
    """

    def __init__(self, port: int, session: ClientSession, size: int = POOL_SIZE) -> None:
        super().__init__(port, session)
        self.sent: dict[int, bytes] = {}
        self._pool = ThreadPoolExecutor(size)
        self._of_thread = local()
        self._links: list[HTTPConnection] = []

    def ask(self, *bodies: bytes) -> Future[None]:
        """Send calls, or nothing but http_wait; fires when the answer was read."""
        return self._pool.submit(self._ask, bodies)

    def close(self) -> None:
        """Break what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for link in self._links:
            if link.sock is not None:
                link.sock.shutdown(SHUT_RDWR)
        self._pool.shutdown()
        for link in self._links:
            link.close()

    def _ask(self, bodies: Sequence[bytes]) -> None:
        link = getattr(self._of_thread, "link", None)
        if link is None:
            link = self._of_thread.link = self.link()
            self._links.append(link)
        packet, ids = self.packet(*((body, True) for body in bodies), (DESKTOP_WAIT, False))
        self.sent.update(zip(ids, bodies, strict=False))
        self.read(post(link, packet))
