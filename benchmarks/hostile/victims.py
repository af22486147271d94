"""Honest clients beside the attack, each a thread with an address of its own.

What they meet is kept as samples: when it was due, and how long it took or that it failed.
"""

import select
import time
from abc import ABC, abstractmethod
from queue import SimpleQueue
from struct import unpack_from
from threading import Event, Thread
from typing import Final, NamedTuple

import grpc

from benchmarks.hostile.handler import produce
from benchmarks.hostile.target import (
    TURNED_AWAY,
    Client,
    Ports,
    Target,
    same_key,
)
from gnetway.pb.gateway_pb2 import GatewayStreamRequest, GatewayStreamResponse
from gnetway.testing import ClientSession, PeerError, QuickAck, ServerKey
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping, Pong, parse_container
from tests.live.client import now
from tests.live.cluster.gateway_link import STREAM_PATH

#: Who has a key, who makes one each second, who reads slowly.
PINGER: Final = "127.0.0.3"
STRANGER: Final = "127.0.0.4"
SLOW_READER: Final = "127.0.0.5"

#: After this a thing has failed.
PATIENCE_SECONDS: Final = 60.0

#: From one ping to the next, answered or not.
PING_SECONDS: Final = 0.02

#: From one key exchange, large answer or stream to the next.
STEP_SECONDS: Final = 1.0

#: From a lost connection to the next attempt.
RETRY_SECONDS: Final = 0.2

#: What the slow reader asks for and how long it lets that lie.
_ANSWER_BYTES: Final = 2 << 20
_LEFT_LYING_SECONDS: Final = 0.5
_SMALL_BUFFER: Final = 65_536

_FOREVER: Final = 86_400.0


class Sample(NamedTuple):
    """When something was due, by the monotonic clock, and the seconds it took; None: it failed."""

    due: float
    seconds: float | None


class Victim(ABC, Thread):
    """Goes on until ``end``; then ``samples`` is complete."""

    def __init__(self, ports: Ports, key: ServerKey, source: str) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._target = Target(ports, key, _FOREVER, source)
        self._over = Event()

    def end(self) -> None:
        """Finish what is under way."""
        self._over.set()
        self.join()
        self._target.let_go()

    def run(self) -> None:
        """Do what it does until the end; a fault of its own is a failure too, lest it be missed."""
        try:
            self.go_on()
        finally:
            if not self._over.is_set():
                self.samples.append(Sample(time.monotonic(), None))

    def go_on(self) -> None:
        """Do one thing each second."""
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            begun = time.monotonic()
            try:
                self.step()
                self.samples.append(Sample(begun, time.monotonic() - begun))
            except (*TURNED_AWAY, grpc.RpcError):
                self.samples.append(Sample(begun, None))
                self.lost()
            due = max(due + STEP_SECONDS, time.monotonic())

    @abstractmethod
    def step(self) -> None:
        """Do what is measured."""

    def lost(self) -> None:
        """Forget what belonged to a lost connection."""
        self._target.let_go()


class Stranger(Victim):
    """Makes a new key on a new connection."""

    def step(self) -> None:
        Client(self._target).make_key()
        self._target.let_go()


class SlowReader(Victim):
    """Asks for a large answer, and reads it a while later."""

    _client: Client | None = None
    _session: ClientSession

    def step(self) -> None:
        if self._client is None:
            self._session = Client(self._target).make_key()
            self._client = Client(self._target, _SMALL_BUFFER)
        self._client.send([self._session.encrypt(produce(_ANSWER_BYTES), now())])
        time.sleep(_LEFT_LYING_SECONDS)
        self._client.await_message(self._session, Constructor.RPC_RESULT)

    def lost(self) -> None:
        super().lost()
        self._client = None


class SessionNodeStream(Victim):
    """Opens a stream to the gateway as a session node does, and wants an answer on it."""

    def __init__(self, ports: Ports, key: ServerKey) -> None:
        super().__init__(ports, key, SLOW_READER)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{ports.grpc}")

    def step(self) -> None:
        requests: SimpleQueue[bytes | None] = SimpleQueue()
        requests.put(GatewayStreamRequest(request_id="1").SerializeToString())
        call = self._channel.stream_stream(STREAM_PATH)(
            iter(requests.get, None), timeout=PATIENCE_SECONDS
        )
        GatewayStreamResponse.FromString(next(call))
        requests.put(None)

    def end(self) -> None:
        super().end()
        self._channel.close()


class Pinger(Victim):
    """Pings on one connection at a steady pace, whether the pongs come or not.

    A ping counts from when it was due, so a gateway that stands still is seen by all that were due
    meanwhile. Those without a pong when their connection ends have failed.
    """

    def __init__(self, ports: Ports, key: ServerKey) -> None:
        super().__init__(ports, key, PINGER)
        self._made = Client(self._target).make_key()
        self._target.let_go()
        self._waiting: dict[int, float] = {}
        self._last_id = 0
        self._due = 0.0

    def go_on(self) -> None:
        """Connect, and connect again whenever the connection is lost."""
        while not self._over.is_set():
            self._due = time.monotonic()
            try:
                self.step()
            except TURNED_AWAY:
                lost = list(self._waiting.values()) or [time.monotonic()]
                self.samples.extend(Sample(due, None) for due in lost)
                self._waiting.clear()
                self.lost()
                self._over.wait(RETRY_SECONDS)

    def step(self) -> None:
        session, client = same_key(self._made), Client(self._target)
        while not self._over.is_set():
            self._send_due(client, session)
            self._receive(client, session, max(0.0, self._due - time.monotonic()))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._waiting:
            if time.monotonic() > deadline:
                raise TimeoutError
            self._receive(client, session, RETRY_SECONDS)

    def _send_due(self, client: Client, session: ClientSession) -> None:
        while self._due <= time.monotonic():
            self._last_id += 1
            self._waiting[self._last_id] = self._due
            self._due += PING_SECONDS
            client.send([session.encrypt(Ping(self._last_id).pack(), now())])

    def _receive(self, client: Client, session: ClientSession, seconds: float) -> None:
        if not select.select([client.socket], [], [], seconds)[0]:
            return
        arrived = time.monotonic()
        data = client.socket.recv(1 << 16)
        if not data:
            raise ConnectionResetError
        for packet in client.link.receive(data):
            if isinstance(packet, QuickAck) or len(packet) < 8:
                raise PeerError("no message")
            body = session.decrypt(packet).body
            bodies = [body]
            if unpack_from("<I", body)[0] == Constructor.MSG_CONTAINER:
                bodies = [message.body for message in parse_container(body, 1024)]
            for one in bodies:
                self._hear(one, arrived)

    def _hear(self, body: bytes, arrived: float) -> None:
        if unpack_from("<I", body)[0] == Constructor.PONG:
            due = self._waiting.pop(Pong.parse(body).ping_id, None)
            if due is not None:
                self.samples.append(Sample(due, arrived - due))
