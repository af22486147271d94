"""A dispatcher in the hands of a test: no Twisted, no bytes on a wire, and a clock that is told.

``Core`` keeps what the dispatcher wants done, and does of it only what the test asks for.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.dispatch.dispatcher import Dispatcher
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import (
    DataRequest,
    Finished,
    KeyGone,
    NodeChange,
    NodeNews,
    NodeOutput,
    NodeWish,
    Output,
    Reading,
    Request,
    Send,
    SessionLost,
)
from gnetway.dispatch.retry import TRUE_REPLY
from gnetway.dispatch.ring import Ring
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.dispatch.shared import STREAM_WINDOW, Announce, DispatchSettings, OutageLimits
from gnetway.errors import GatewayError
from gnetway.pb import session_pb2
from gnetway.rpc.status import Method, RpcStatus, StatusCode
from tests.fakes import some_key
from tests.strategies import SeededBytes

SERVER_ID = "10.9.9.9:20110"
A, B, C = "10.0.0.1:20120", "10.0.0.2:20120", "10.0.0.3:20120"
#: An address that discovery never names; redirects may.
STRANGER = "10.0.0.9:20120"

MEBIBYTE = 1 << 20

BROKEN = RpcStatus(StatusCode.UNAVAILABLE, "broken")
OVERLOADED = RpcStatus(StatusCode.UNKNOWN, "overloaded")
TOO_LARGE = RpcStatus(
    StatusCode.RESOURCE_EXHAUSTED, "grpc: received message larger than max (5242880 vs. 4194304)"
)
NOT_SERVED = RpcStatus(StatusCode.UNIMPLEMENTED, "unknown service session.RPCSession")
TOO_LATE = RpcStatus(StatusCode.DEADLINE_EXCEEDED, "no answer in time")


def redirect_to(address: str) -> RpcStatus:
    return RpcStatus(StatusCode.REDIRECT, f"REDIRECT_TO_{address}")


@lru_cache(maxsize=256)
def _secret(number: int) -> bytes:
    return some_key(number).secret


@dataclass(eq=False)
class FakeClient:
    """One session of a client."""

    key: AuthKey
    session_id: int = 7
    client_ip: str = "192.0.2.1"
    dc_id: int = 0

    @property
    def name(self) -> tuple[int, int]:
        return self.key.auth_key_id, self.session_id


def client_of(number: int = 1, session_id: int = 7, client_ip: str = "192.0.2.1") -> FakeClient:
    return FakeClient(AuthKey(_secret(number), KeyKind.PERM), session_id, client_ip)


def ring_of(*addresses: str) -> Ring:
    ring = Ring()
    for address in addresses:
        ring.add(address)
    return ring


def number_at(address: str, *addresses: str, start: int = 1) -> int:
    """A key's number that ``address`` holds in a ring of ``addresses``."""
    ring = ring_of(*addresses)
    number = start
    while ring.node_for(client_of(number).key.auth_key_id) != address:
        number += 1
    return number


def called(reply: bytes, error: GatewayError | None) -> None:
    """A ``done`` that the core itself must never call."""
    raise AssertionError("the core calls nobody back")


def is_first(data: bytes) -> bool:
    """Whether a data request announces its session."""
    parsed = session_pb2.TL_session_sendDataToSession.FromString(data)
    return parsed.data.conn_type == 1


@dataclass
class Core:
    """A dispatcher; ``under_way`` is what nodes have been sent and did not answer, in order.

    ``flush`` is to follow each input: it takes what the dispatcher wants done.
    """

    stream: bool = True
    announce: Announce = Announce.MESSAGE
    outage: OutageLimits = field(default_factory=OutageLimits)
    max_in_flight: int = 16_384
    max_in_flight_bytes: int = 64 * MEBIBYTE
    max_message_bytes: int = 64 * MEBIBYTE

    def __post_init__(self) -> None:
        self.now = 1000.0
        settings = DispatchSettings(
            server_id=SERVER_ID,
            announce=self.announce,
            window=STREAM_WINDOW if self.stream else 1,
            max_in_flight=self.max_in_flight,
            max_in_flight_bytes=self.max_in_flight_bytes,
            max_message_bytes=self.max_message_bytes,
            outage=self.outage,
        )
        self.dispatcher = Dispatcher(settings, SeededBytes(1))
        #: All that the dispatcher wanted done, in order.
        self.seen: list[Output] = []
        self.under_way: dict[str, list[Send]] = {}
        self.sends: list[Send] = []
        self.finished: list[Finished] = []
        self.lost: list[tuple[FakeClient, str]] = []
        self.gone: list[int] = []
        self.news: list[tuple[str, NodeChange]] = []
        self.wishes: list[tuple[str, NodeWish]] = []
        self.paused: Counter[FakeClient] = Counter()
        self.times_sent: Counter[Request] = Counter()

    # -- what it wants done --------------------------------------------------------------------

    def flush(self) -> list[Output]:
        """Take what is to be done, and return it."""
        taken: list[Output] = []
        while (output := self.dispatcher.next_output()) is not None:
            taken.append(output)
            self.take(output)
        return taken

    def take(self, output: Output) -> None:
        if isinstance(output, Send):
            self.sent(output.request, output.data)
            return
        self.seen.append(output)
        if isinstance(output, Finished):
            self.finished.append(output)
        elif isinstance(output, Reading):
            assert isinstance(output.client, FakeClient)
            self.paused[output.client] += 1 if output.paused else -1
        elif isinstance(output, SessionLost):
            assert isinstance(output.client, FakeClient)
            self.lost.append((output.client, output.cause))
        elif isinstance(output, KeyGone):
            self.gone.append(output.auth_key_id)
        elif isinstance(output, NodeNews):
            self.news.append((output.node.address, output.change))
        elif isinstance(output, NodeOutput):
            self.wishes.append((output.node.address, output.wish))

    def sent(self, request: Request, data: bytes) -> None:
        assert request.node is not None
        send = Send(request, data)
        self.seen.append(send)
        self.sends.append(send)
        self.times_sent[request] += 1
        self.under_way.setdefault(request.node.address, []).append(send)

    # -- nodes ---------------------------------------------------------------------------------

    def node(self, address: str) -> Node:
        node = self.dispatcher.nodes.known(address)
        assert node is not None, address
        return node

    def set_nodes(self, *addresses: str) -> None:
        self.dispatcher.set_nodes(addresses, self.now)
        self.flush()

    def connect(self, *addresses: str) -> None:
        for address in addresses:
            self.dispatcher.connected(self.node(address), self.now)
            self.flush()

    def with_nodes(self, *addresses: str) -> "Core":
        """Name nodes and connect to them all."""
        self.set_nodes(*addresses)
        self.connect(*addresses)
        return self

    def tick(self, seconds: float = 0.25) -> None:
        self.now += seconds
        self.dispatcher.tick(self.now)
        self.flush()

    # -- messages ------------------------------------------------------------------------------

    def open(self, client: FakeClient) -> SessionQueue:
        queue = self.dispatcher.open_session(client)
        self.flush()
        return queue

    def message(self, queue: SessionQueue, payload: bytes, asks: bool = False) -> DataRequest:
        key_id = queue.client.key.perm_auth_key_id
        return DataRequest(queue, key_id, 5, payload, False, called if asks else None)

    def say(self, queue: SessionQueue, *payloads: bytes, asks: bool = False) -> list[DataRequest]:
        requests = [self.message(queue, payload, asks) for payload in payloads]
        for request in requests:
            queue.submit(request, self.now)
            self.flush()
        return requests

    def close(self, queue: SessionQueue) -> None:
        queue.close(self.now)
        self.flush()

    # -- what nodes do -------------------------------------------------------------------------

    def take_back(self, request: Request) -> None:
        assert request.node is not None
        sends = self.under_way[request.node.address]
        (at,) = [number for number, send in enumerate(sends) if send.request is request]
        del sends[at]

    def answer(self, request: Request, reply: bytes = TRUE_REPLY, straight: bool = True) -> None:
        """Answer a request as the shell does it; ``straight`` is whether by the short way."""
        self.take_back(request)
        if self.dispatcher.answered(request, reply):
            following = self.dispatcher.following(request) if straight else None
            if following is not None:
                self.sent(following.request, following.data)
            else:
                self.dispatcher.resume(request, self.now)
        self.flush()

    def answer_all(self, address: str) -> None:
        """Answer everything that a node has, and what it is sent for that."""
        while self.under_way.get(address):
            self.answer(self.under_way[address][0].request)

    def fail(self, request: Request, status: RpcStatus, sent: bool = True) -> None:
        self.take_back(request)
        self.dispatcher.failed(request, status, sent, self.now)
        self.flush()

    def end_stream(
        self, address: str, status: RpcStatus, sent: int | None = None, silent: bool = False
    ) -> None:
        """End the stream to a node, of which the first ``sent`` requests have left, or all."""
        ended = self.under_way.pop(address, [])
        left = len(ended) if sent is None else sent
        unanswered = [(send.request, number < left) for number, send in enumerate(ended)]
        self.dispatcher.stream_ended(
            self.node(address), status, unanswered, self.now, silent=silent
        )
        self.flush()

    def lose_connection(self, address: str, why: str = "broken") -> None:
        self.dispatcher.disconnected(self.node(address), why, self.now)
        self.flush()

    # -- looking -------------------------------------------------------------------------------

    def requests(self, address: str) -> list[Request]:
        """What a node has and did not answer."""
        return [send.request for send in self.under_way.get(address, [])]

    def payloads(self, address: str) -> list[bytes]:
        return [request.payload for request in self.requests(address)]

    def methods(self, address: str) -> list[Method]:
        return [request.method for request in self.requests(address)]

    def is_empty(self) -> bool:
        """Whether nothing waits, nothing is in flight, and no session is known."""
        buffer = self.dispatcher.buffer
        return (
            (len(buffer), buffer.messages, buffer.size) == (0, 0, 0)
            and not self.dispatcher.sessions
            and not any(self.under_way.values())
            and all(
                (node.in_flight, node.in_flight_bytes, node.room_waiters) == (0, 0, {})
                for node in self.dispatcher.nodes
            )
        )
