"""What every carrier has to do, on real loopback sockets; the cases are mixed into live tests.

A new carrier is one more subclass that names it. ``CarrierCase`` brings clients and servers that
are stopped, and their threads looked for, when a test ends.
"""

import threading
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor as global_reactor  # noqa: TID251 - trial runs this one
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IReactorTCP, ITCPTransport
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.trial.unittest import TestCase

from gnetway.rpc.calls import (
    IRpcClient,
    IRpcReactor,
    IRpcServer,
    IRpcStream,
    RpcHandlers,
    RpcOptions,
    RpcPeer,
)
from gnetway.rpc.carriers import carrier
from gnetway.rpc.status import RpcStatus
from gnetway.runtime.clocks import TurnEnd
from tests.rpc.peers import Echo

reactor = cast("IRpcReactor", global_reactor)
tcp = cast("IReactorTCP", global_reactor)

ECHO = "/test.Service/echo"
FAIL = "/test.Service/fail"
CRASH = "/test.Service/crash"
LATER = "/test.Service/later"
NEVER = "/test.Service/never"
WHO = "/test.Service/who"
BIG = "/test.Service/big"
STREAM = "/test.Stream/echo"
BROKEN_STREAM = "/test.Stream/broken"
MIB = 1 << 20


class Relay(ProxyFactory):
    """Hands on what comes, both ways."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._accepted: list[ProxyServer] = []

    def buildProtocol(self, addr: IAddress | None) -> ProxyServer:
        accepted = super().buildProtocol(addr)
        assert isinstance(accepted, ProxyServer)
        self._accepted.append(accepted)
        return accepted

    def hang_up(self) -> Deferred[None]:
        """End all, also those that wait for who does not read: these would never notice."""
        for accepted in self._accepted:
            for end in (accepted, accepted.peer):
                if end is not None and end.transport is not None:
                    cast("ITCPTransport", end.transport).abortConnection()
        return deferLater(reactor, 0.0, lambda: None)


class CarrierCase(TestCase):
    """A carrier by name, with its clients, its servers and what the handlers saw."""

    carrier_name: str
    timeout = 120

    def setUp(self) -> None:
        self._threads = set(threading.enumerate())
        self.addCleanup(self._no_thread_is_left)
        self.carrier = carrier(self.carrier_name, reactor, TurnEnd(reactor))
        self.never: list[Deferred[bytes]] = []
        self.cancelled = 0
        self.served: list[Echo] = []
        self.peers: list[RpcPeer] = []

    async def _no_thread_is_left(self) -> None:
        await self.until(lambda: set(threading.enumerate()) <= self._threads)

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for what no callback tells."""
        end = reactor.seconds() + seconds
        while not condition():
            self.assertLess(reactor.seconds(), end, "not in time")
            await deferLater(reactor, 0.005, lambda: None)

    def handlers(self) -> RpcHandlers:
        unary = {
            ECHO: lambda request, _: request,
            FAIL: self._fail,
            CRASH: self._crash,
            LATER: lambda request, _: deferLater(reactor, 0.01, lambda: request),
            NEVER: self._never,
            WHO: self._who,
            BIG: lambda request, _: bytes(int(request)),
        }
        return RpcHandlers(unary, {STREAM: self._stream, BROKEN_STREAM: self._broken_stream})

    def _fail(self, request: bytes, _: RpcPeer) -> bytes:
        code, details = request.decode().split(" ", 1)
        raise RpcStatus(int(code), details)

    def _crash(self, request: bytes, _: RpcPeer) -> bytes:
        raise ValueError(f"{len(request)} bytes of a secret")

    def _never(self, _: bytes, __: RpcPeer) -> Deferred[bytes]:
        def count(_: Deferred[bytes]) -> None:
            self.cancelled += 1

        waiting: Deferred[bytes] = Deferred(count)
        self.never.append(waiting)
        return waiting

    def _who(self, _: bytes, peer: RpcPeer) -> bytes:
        self.peers.append(peer)
        return b""

    def _stream(self, stream: IRpcStream) -> Echo:
        echo = Echo()
        echo.stream = stream
        self.served.append(echo)
        return echo

    def _broken_stream(self, _: IRpcStream) -> Echo:
        raise ValueError("no listener today")

    async def serve(
        self, options: RpcOptions | None = None, port: int = 0
    ) -> tuple[IRpcServer, str]:
        """Start a server; return it with its ``host:port``."""
        server = self.carrier.server(
            f"127.0.0.1:{port}", self.handlers(), options or RpcOptions(threads=2)
        )
        self.addCleanup(server.stop, 0)
        return server, f"127.0.0.1:{await server.start()}"

    def call(self, peer: str, options: RpcOptions | None = None) -> IRpcClient:
        """Return a client."""
        client = self.carrier.client(peer, options or RpcOptions())
        self.addCleanup(client.close)
        return client

    async def pair(self, options: RpcOptions | None = None) -> IRpcClient:
        """Return a client of a server that was started with the same options."""
        _, peer = await self.serve(options)
        return self.call(peer, options)

    async def held_pair(self, options: RpcOptions) -> IRpcClient:
        """Return a client whose server, with room for all echoes, is out of its reach at times.

        Namely while the reactor is held. Carriers with threads go on meanwhile, on both sides;
        what is between them does not.
        """
        _, peer = await self.serve(RpcOptions(max_unsent_bytes=64 * MIB, threads=2))
        host, port = peer.rsplit(":", 1)
        relay = Relay(host, int(port))
        listening = cast("ServerFactory[Any]", relay)
        between = tcp.listenTCP(0, listening, interface="127.0.0.1")
        self.addCleanup(between.stopListening)
        self.addCleanup(relay.hang_up)
        return self.call(f"127.0.0.1:{cast('IPv4Address', between.getHost()).port}", options)

    async def status_of(self, answer: Deferred[bytes]) -> RpcStatus:
        """Return what a call fails with."""
        return cast("RpcStatus", await self.assertFailure(answer, RpcStatus))

    async def all_of(self, answers: list[Deferred[bytes]]) -> list[bytes]:
        """Return the replies."""
        return await gatherResults(answers, consumeErrors=True)
