"""What peers of the native server may take, and what becomes of those who take more."""

from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from types import SimpleNamespace
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol

from gnetway.http2.frames import END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, pack_frame
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.native.connection import Http2Protocol
from gnetway.rpc.native.server import (
    NOT_ALLOWED,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_STREAMS,
    TOO_MUCH_INPUT,
)
from gnetway.rpc.peers import LINE_SECONDS, RefusedPeers, host_of_peer, is_allowed
from tests.http2.wire import data, message
from tests.rpc.native.test_server import _CALL, _STREAM, NativeServerCase, request, status, whole
from tests.rpc.native_peer import Wire

STRANGER, NODE = "203.0.113.9", "10.0.0.7"


class BoundsCase(NativeServerCase):
    def protocol(self, host: str) -> Protocol | None:
        factory = self.reactor.tcpServers[0][1]
        made = factory.buildProtocol(IPv4Address("TCP", host, 4000))
        assert made is None or isinstance(made, Protocol)
        return made

    def of(self, host: str) -> Wire:
        """Return a connection of a peer that stands."""
        protocol = self.protocol(host)
        assert protocol is not None
        wire = Wire(self.reactor, protocol)
        wire.send(PREFACE)
        wire.settle()
        return wire

    def causes(self) -> dict[str, int]:
        return self.server.refused.causes.as_dict()


class ConnectionTests(BoundsCase):
    options = RpcOptions(
        max_connections=3,
        max_peer_connections=3,
        allowed_networks=(ip_network("203.0.113.0/24"), ip_network("10.0.0.0/8")),
    )

    def test_from_elsewhere(self) -> None:
        self.assertIsNone(self.protocol("192.0.2.1"))
        self.assertEqual(self.causes(), {NOT_ALLOWED: 1})

    def test_no_line_for_each(self) -> None:
        lines: list[str] = []
        log = SimpleNamespace(warn=lambda text, **_: lines.append(text))
        self.patch(RefusedPeers, "_log", log)
        for _ in range(1_000):
            self.protocol("192.0.2.1")
        self.assertEqual(len(lines), 1)
        self.reactor.advance(LINE_SECONDS)
        self.protocol("192.0.2.1")
        self.assertEqual(len(lines), 2)

    def test_of_one_peer(self) -> None:
        wires = [self.of(STRANGER) for _ in range(3)]
        self.assertIsNone(self.protocol(STRANGER))
        self.assertEqual(self.causes(), {TOO_MANY_CONNECTIONS: 1})
        wires[0].lose()
        self.assertIsNotNone(self.protocol(STRANGER))

    def test_others_get_in(self) -> None:
        wires = [self.of(STRANGER) for _ in range(3)]
        node = self.of(NODE)
        node.send(whole(_CALL, b"x"))
        self.assertEqual(len(node.frames()), 3)
        self.assertEqual([wire.aborted for wire in wires], [False, False, True])
        wires[2].lose()


class StreamTests(BoundsCase):
    options = RpcOptions(max_streams=4, max_peer_streams=3)

    def open(self, wire: Wire, count: int) -> list[int]:
        """Open streams; return the statuses of those that have ended."""
        first = getattr(wire, "next_id", 1)
        for number in range(count):
            wire.send(request(_STREAM, first + 2 * number))
        wire.next_id = first + 2 * count  # type: ignore[attr-defined]
        ends = [frame for frame in wire.frames() if frame.kind == HEADERS and frame.flags & 1]
        return [status(frame) for frame in ends]

    def test_a_stranger_and_the_nodes(self) -> None:
        stranger = self.of(STRANGER)
        self.assertEqual(self.open(stranger, 5), [8, 8])
        self.assertEqual(self.causes(), {TOO_MANY_STREAMS: 2})
        for number in (1, 2, 3):
            self.assertEqual(self.open(self.of(f"10.0.0.{number}"), 1), [])
        ends = [frame for frame in stranger.frames() if frame.kind == HEADERS]
        self.assertEqual([status(frame) for frame in ends], [8, 8])
        self.assertEqual([len(echo.endings) for echo in self.served], [0, 1, 1, 0, 0, 0])


class InputTests(BoundsCase):
    options = RpcOptions(max_message_bytes=100_000, max_input_bytes=200_000)

    def begin(self, wire: Wire, stream_id: int, path: str = _CALL) -> None:
        """Send most of a message."""
        head = data(message(bytes(90_000))[:5], stream_id)
        wire.send(request(path, stream_id), head)
        for _ in range(5):
            wire.send(data(bytes(16_000), stream_id))

    def test_who_holds_most_gives_way(self) -> None:
        stranger, node = self.of(STRANGER), self.of(NODE)
        self.begin(node, 1)
        for number in range(4):
            self.begin(stranger, 2 * number + 1)
            self.assertLessEqual(self.server.input.total_bytes, 200_000)
        ends = [frame for frame in stranger.frames() if frame.kind == HEADERS]
        self.assertEqual([status(frame) for frame in ends], [8, 8, 8])
        node.send(data(bytes(10_000), 1, END_STREAM))
        self.assertEqual(node.frames()[0].kind, HEADERS)
        self.assertEqual(self.causes(), {TOO_MUCH_INPUT: 3})

    def test_then_its_connection(self) -> None:
        stranger = self.of(STRANGER)
        for number in range(20):
            if not stranger.over:
                self.begin(stranger, 2 * number + 1)
        self.assertTrue(stranger.disconnecting)
        self.assertIn(GOAWAY, [frame.kind for frame in stranger.frames()])
        stranger.lose()
        self.assertEqual(self.server.input.total_bytes, 0)

    def test_what_has_gone_is_free_at_once(self) -> None:
        """Without the garbage collector, which may come late."""
        stranger = self.of(STRANGER)
        self.begin(stranger, 1)
        [connection] = self.server.open_connections
        [stream] = connection.http2.core.streams.values()
        stranger.lose()
        self.assertEqual((stream.joiner, stream.holding), (None, None))

    def test_streams_of_pushes(self) -> None:
        """Their listener is told."""
        stranger = self.of(STRANGER)
        for number in range(3):
            self.begin(stranger, 2 * number + 1, _STREAM)
        self.assertEqual([len(echo.endings) for echo in self.served], [1, 0, 0])

    def test_whole_messages_of_calls_that_do_not_end(self) -> None:
        stranger = self.of(STRANGER)
        for number in range(4):
            key = 2 * number + 1
            frames = [data(message(bytes(60_000)), key)]
            stranger.send(request(_CALL, key), *frames)
        self.assertEqual(self.causes(), {TOO_MUCH_INPUT: 1})

    def test_nothing_is_counted_of_what_has_ended(self) -> None:
        node = self.of(NODE)
        self.begin(node, 1)
        node.send(data(bytes(10_000), 1, END_STREAM))
        self.begin(node, 3, _STREAM)
        node.send(data(bytes(10_000), 3))
        self.begin(node, 5)
        node.send(pack_frame(3, 0, 5, bytes(4)))
        self.assertEqual(self.server.input.total_bytes, 0)
        self.begin(node, 7)
        self.assertGreater(self.server.input.total_bytes, 80_000)
        node.lose()
        self.assertEqual(self.server.input.total_bytes, 0)


class ReadingTests(BoundsCase):
    options = RpcOptions()

    def test_nothing_is_read_while_answers_are_not(self) -> None:
        wire = self.of(STRANGER)
        producer = self.shell(wire)
        producer.pauseProducing()
        self.assertEqual(wire.producerState, "paused")
        wire.send(*(whole(_CALL, b"x", number) for number in (1, 3)))
        producer.resumeProducing()
        self.assertEqual(wire.producerState, "producing")
        self.assertEqual(len(wire.frames()), 6)

    def test_full_again_at_once(self) -> None:
        wire = self.of(STRANGER)
        self.shell(wire).pauseProducing()
        self.shell(wire).core.ping(bytes(8))
        self.patch(wire, "write", lambda _: self.shell(wire).pauseProducing())
        self.shell(wire).resumeProducing()
        self.assertEqual(wire.producerState, "paused")

    def test_what_was_put_off_waits_as_well(self) -> None:
        wire = self.of(STRANGER)
        self.shell(wire).pauseProducing()
        self.flood(wire)
        self.reactor.advance(1)
        self.assertTrue(self.shell(wire).core.parser.put_off)
        self.shell(wire).resumeProducing()
        self.reactor.advance(1)
        self.assertFalse(self.shell(wire).core.parser.put_off)
        self.assertEqual(wire.producerState, "producing")

    def shell(self, wire: Wire) -> Http2Protocol:
        return cast("Http2Protocol", wire._protocol)

    def flood(self, wire: Wire) -> None:
        self.shell(wire).dataReceived(pack_frame(PING, 0, 0, bytes(8)) * 6_000)

    def test_one_slow_connection_in_each_turn(self) -> None:
        wires = [self.of(STRANGER) for _ in range(3)]
        for wire in wires:
            self.flood(wire)
            self.assertEqual(wire.producerState, "paused")
        read: list[Wire] = []
        for wire in wires:
            noted = partial(self.note, read, wire, wire.resumeProducing)
            self.patch(wire, "resumeProducing", noted)
        self.reactor.advance(0)
        self.assertEqual(read, wires)
        self.assertEqual({wire.producerState for wire in wires}, {"producing"})

    def note(self, read: list[Wire], wire: Wire, go_on: Callable[[], None]) -> None:
        read.append(wire)
        go_on()

    def test_the_end_of_one_that_waits(self) -> None:
        wire = self.of(STRANGER)
        self.flood(wire)
        wire.lose()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_long_names_are_not_quoted(self) -> None:
        wire = self.of(STRANGER)
        wire.send(pack_frame(HEADERS, END_HEADERS, 1, request("/" + "n" * 4_000)[9:]))
        self.assertLess(len(wire.frames()[0].payload), 300)


class AddressTests(BoundsCase):
    def test_allowed(self) -> None:
        networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
        for host in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"):
            self.assertTrue(is_allowed(host, networks), host)
        for host in ("11.1.2.3", "::ffff:11.1.2.3", "fe80::1%eth0", "", "here"):
            self.assertFalse(is_allowed(host, networks), host)
        self.assertTrue(is_allowed("", ()))

    def test_peers_of_grpcio(self) -> None:
        self.assertEqual(host_of_peer("ipv4:10.0.0.7:40312"), "10.0.0.7")
        self.assertEqual(host_of_peer("ipv6:%5B::1%5D:5000"), "::1")
        self.assertEqual(host_of_peer("ipv6:[fd00::1]:5000"), "fd00::1")
