"""Whoever reaches ListenOn against a session node at another address."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import ClassVar
from unittest import TestCase

from gnetway.http2.client import ClientConnection, request_fields
from gnetway.http2.frames import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MESSAGE_PREFIX,
    PING,
    PREFACE,
    Setting,
    pack_frame,
    pack_reset,
    pack_settings,
)
from gnetway.http2.heads import encode_field, encode_integer
from gnetway.http2.stream import Event as Told
from gnetway.http2.stream import MessagesReceived, Stream, StreamEnded
from gnetway.pb.gateway_pb2 import GatewayStreamRequest
from gnetway.push.server import STREAM_METHOD, UNARY_METHOD
from tests.live.gateway import Gateway
from tests.live.hostile.addresses import ATTACKER, VICTIM
from tests.live.proc import memory_bytes
from tests.live.web.listeners import dial
from tests.ports import free_port

MIB = 1 << 20
SETTINGS_ACK = pack_frame(4, 1, 0, b"")
NO_SETTINGS = pack_settings([])

#: An answer that takes longer was kept waiting. Alone it takes some milliseconds; the attacks took
#: seconds before there were bounds; the rest is room for a busy machine.
MAX_ANSWER_SECONDS = 1.5


class PushGateway(Gateway):
    """A gateway that is pushed to; its own session service is never there."""

    def __init__(self, rpc: dict[str, object] | None = None) -> None:
        super().__init__()
        self.grpc_port = free_port()
        self.config |= {
            "ListenOn": f"127.0.0.1:{self.grpc_port}",
            "Rpc": rpc or {},
            "Session": {"Endpoints": ["127.0.0.1:9"]},
        }
        self.write_config()

    @property
    def memory_bytes(self) -> int:
        return memory_bytes(self.pid)

    def connect(self, source: str) -> socket.socket:
        return dial(self.grpc_port, source)


class Node:
    """A session node with a stream of pushes."""

    def __init__(self, gateway: PushGateway, source: str) -> None:
        self._socket = gateway.connect(source)
        self._client = ClientConnection(4 * MIB)
        self._client.core.output.resume()
        self.stream = Stream(None, STREAM_METHOD, unary=False)
        self._client.open(self.stream, request_fields(STREAM_METHOD, "gateway"))

    def push(self) -> float:
        """Have a push answered; return how many seconds it took."""
        begin = time.monotonic()
        request = GatewayStreamRequest(request_id="1").SerializeToString()
        self._client.core.sender.send(self.stream, request)
        while not self._answered():
            data = self._client.core.sender.data_to_send()
            if data:
                self._socket.sendall(data)
            received = self._socket.recv(65_536)
            if not received:
                raise ConnectionError("the gateway has closed")
            self._client.core.parser.receive(received)
        return time.monotonic() - begin

    def _answered(self) -> bool:
        event: Told | None
        while (event := self._client.core.next_event()) is not None:
            if isinstance(event, StreamEnded):
                raise ConnectionError(f"the stream has ended: {event.status} {event.text}")
            if isinstance(event, MessagesReceived):
                return True
        return False

    def close(self) -> None:
        self._socket.close()


def head(path: str, stream_id: int, flags: int = END_HEADERS) -> bytes:
    return pack_frame(HEADERS, flags, stream_id, request_fields(path, "x"))


def long_name(stream_id: int, again: bool) -> bytes:
    """Return a call whose name of 4,000 bytes goes into the table, or is named by it."""
    name = b"/" + b"\xff" * 3_990
    path = b"\xbe" if again else b"\x40\x05:path" + encode_integer(len(name), 7) + name
    fields = b"\x83\x86" + path + encode_field(b"content-type", b"application/grpc")
    return pack_frame(HEADERS, END_HEADERS | END_STREAM, stream_id, fields)


class HostileCase(TestCase):
    rpc: ClassVar[dict[str, object]] = {}
    gateway: PushGateway

    def setUp(self) -> None:
        self.gateway = PushGateway(self.rpc)
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def tearDown(self) -> None:
        self.assertTrue(self.gateway.running)
        self.assertNotIn("Traceback", self.gateway.log)
        self.assertNotIn("Unhandled", self.gateway.log)
        self.assertLess(self.gateway.log.count("gRPC"), 10)

    def node(self, source: str = VICTIM) -> Node:
        node = Node(self.gateway, source)
        self.addCleanup(node.close)
        node.push()
        return node

    def attacker(self, sent: bytes = SETTINGS_ACK) -> socket.socket:
        """Return a connection that has said its first words."""
        made = self.gateway.connect(ATTACKER)
        self.addCleanup(made.close)
        made.sendall(PREFACE + NO_SETTINGS + sent)
        return made

    @contextmanager
    def served_meanwhile(self) -> Iterator[None]:
        """The node is answered all the time, and afterwards."""
        node, over, longest = self.node(), Event(), [0.0]
        faults: list[Exception] = []

        def push() -> None:
            try:
                while not over.wait(0.01):
                    longest[0] = max(longest[0], node.push())
            except OSError as error:
                faults.append(error)

        thread = Thread(target=push)
        thread.start()
        try:
            yield
            # What has been sent is still read for a while.
            time.sleep(1)
        finally:
            over.set()
            thread.join()
        self.assertEqual(faults, [])
        self.assertLess(longest[0], MAX_ANSWER_SECONDS)
        node.push()


class TimeTests(HostileCase):
    def send(self, attacker: socket.socket, sent: bytes) -> None:
        """Send as much as is taken."""
        attacker.settimeout(2)
        with suppress(OSError):
            attacker.sendall(sent)

    def test_calls_whose_answers_are_not_read(self) -> None:
        before = self.gateway.memory_bytes
        with self.served_meanwhile():
            for _ in range(4):
                attacker = self.attacker(b"")
                attacker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                calls = b"".join(long_name(3 + 2 * number, again=True) for number in range(5_000))
                self.send(attacker, long_name(1, again=False) + calls)
        self.assertLess(self.gateway.memory_bytes - before, 16 * MIB)

    def test_settings_over_many_streams(self) -> None:
        with self.served_meanwhile():
            attacker = self.attacker()
            streams = b"".join(head(UNARY_METHOD, 2 * number + 1) for number in range(2_000))
            self.send(attacker, streams)
            settings = [(Setting.INITIAL_WINDOW_SIZE, number) for number in range(90)]
            self.send(attacker, pack_settings(settings) * 2_000)
            self.send(attacker, pack_settings(settings * 100))

    def test_floods(self) -> None:
        reset = b"".join(
            head(STREAM_METHOD, number) + pack_reset(number, 8) for number in range(1, 20_001, 2)
        )
        with self.served_meanwhile():
            for flood in (pack_frame(PING, 0, 0, bytes(8)) * 100_000, reset):
                for _ in range(3):
                    self.send(self.attacker(), flood)


class RoomTests(HostileCase):
    rpc: ClassVar[dict[str, object]] = {"MaxStreams": 8, "MaxStreamsPerPeer": 6}

    def test_streams_of_a_stranger(self) -> None:
        streams = [self.attacker() for _ in range(4)]
        for attacker in streams:
            attacker.sendall(b"".join(head(STREAM_METHOD, 2 * n + 1) for n in range(64)))
        nodes = [self.node(f"127.0.0.{number}") for number in (3, 4, 5, 6)]
        for node in nodes:
            node.push()

    def test_unfinished_messages(self) -> None:
        before = self.gateway.memory_bytes
        with self.served_meanwhile():
            attacker = self.attacker()
            attacker.settimeout(5)
            # It is closed, as it should be.
            with suppress(OSError):
                self._hoard(attacker)
        self.assertLess(self.gateway.memory_bytes - before, 200 * MIB)

    def _hoard(self, attacker: socket.socket) -> None:
        part = pack_frame(0, 0, 1, bytes(16_384))
        for number in range(20):
            key = 2 * number + 1
            attacker.sendall(head(UNARY_METHOD, key))
            attacker.sendall(pack_frame(0, 0, key, MESSAGE_PREFIX.pack(0, 60 * MIB)))
            frames = part[:5] + key.to_bytes(4, "big") + part[9:]
            for _ in range(20):
                attacker.sendall(frames * 64)


class ConnectionTests(HostileCase):
    rpc: ClassVar[dict[str, object]] = {"MaxConnections": 8, "MaxConnectionsPerPeer": 8}

    def test_connections_of_a_stranger(self) -> None:
        strangers = [self.gateway.connect(ATTACKER) for _ in range(50)]
        for stranger in strangers:
            self.addCleanup(stranger.close)
        for number in (3, 4, 5):
            self.node(f"127.0.0.{number}")


class AllowedTests(HostileCase):
    rpc: ClassVar[dict[str, object]] = {"AllowedNetworks": [f"{VICTIM}/32"]}

    def test_others_are_closed_unheard(self) -> None:
        stranger = self.gateway.connect(ATTACKER)
        self.addCleanup(stranger.close)
        self.assertEqual(stranger.recv(1), b"")
        self.node()
