"""A remote backend among fake nodes, as the tests of the session package need it."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gnetway.backends.remote.backend import RemoteBackend
from gnetway.backends.remote.connections import (
    MAX_MESSAGE_BYTES,
    Announce,
    OutageLimits,
    RemoteSettings,
)
from gnetway.dispatch.request import Owner
from gnetway.dispatch.ring import Ring
from gnetway.dispatch.shared import OutageBuffer
from gnetway.errors import BackendError
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.backends.remote.fake_carrier import FakeCarrier
from tests.backends.remote.fakes import FakeDiscovery, FakeNode, FakeSession
from tests.fakes import FakeTarget, some_key
from tests.strategies import SeededBytes

SERVER_ID = "10.9.9.9:20110"
A, B, C = "10.0.0.1:20120", "10.0.0.2:20120", "10.0.0.3:20120"


def redirect_to(address: str) -> RpcStatus:
    return RpcStatus(StatusCode.REDIRECT, f"REDIRECT_TO_{address}")


def redirecting(address: str, *kinds: str) -> Callable[[str], RpcStatus | None]:
    """A node that sends some requests, or all, to another one."""
    return lambda kind: redirect_to(address) if not kinds or kind in kinds else None


class Cluster:
    """A backend that has started, its nodes, and what became of the messages sent by ``say``."""

    def __init__(
        self,
        *addresses: str,
        stream: bool = False,
        announce: Announce = Announce.MESSAGE,
        outage: OutageLimits | None = None,
        timeout_seconds: float = 10.0,
        options: RpcOptions | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.clock = Clock()
        self.carrier = FakeCarrier(self.clock)
        self.discovery = FakeDiscovery(list(addresses))
        self.ring = Ring()
        for address in addresses:
            self.ring.add(address)
        settings = RemoteSettings(
            SERVER_ID,
            stream,
            announce,
            timeout_seconds,
            outage or OutageLimits(),
            max_message_bytes,
        )
        self.backend = RemoteBackend(
            self.clock,
            self.carrier,
            options or RpcOptions(),
            self.discovery,
            settings,
            SeededBytes(1),
        )
        self.target = FakeTarget()
        self.backend.start(self.target)
        self.discovery.listened = self.carrier.connect_all
        self.carrier.connect_all()
        self.outcomes: dict[bytes, list[BackendError | None]] = {}

    @property
    def buffer(self) -> OutageBuffer:
        return self.backend._core.buffer

    @property
    def sessions(self) -> dict[tuple[int, int], Owner]:
        return self.backend._core.sessions

    def node(self, address: str) -> FakeNode:
        return self.carrier.node(address)

    def session(self, number: int = 1, at: str = "", session_id: int = 7) -> FakeSession:
        """A new, open session; ``at`` names the node that its key goes to."""
        key = some_key(number)
        while at and self.ring.node_for(key.auth_key_id) != at:
            number += 1000
            key = some_key(number)
        session = FakeSession(key, session_id)
        self.backend.open_session(session)
        return session

    def say(self, session: FakeSession, *payloads: bytes) -> None:
        for payload in payloads:
            heard = self.outcomes.setdefault(payload, [])
            self.backend.send_data(session, 5, payload, False, heard.append)

    def outcome(self, payload: bytes) -> str:
        """What became of a message: empty while unknown, ok, or the error's class."""
        heard = self.outcomes[payload]
        assert len(heard) <= 1, "told twice"
        if not heard:
            return ""
        return "ok" if heard[0] is None else type(heard[0]).__name__

    def settle(self) -> None:
        self.carrier.settle()

    def pass_time(self, seconds: float) -> None:
        self.carrier.pass_time(seconds)

    def payloads(self) -> list[bytes]:
        """What all nodes took, node by node."""
        return [one for node in self.carrier.nodes.values() for one in node.payloads()]

    def restart(self, address: str) -> None:
        """Have another process where a node was."""
        self.node(address).forget()
        self.node(address).up = True

    def links_down(self, address: str) -> None:
        """Break all connections to a node; those that follow work."""
        client = self.carrier.client_of(address)
        for stream in list(client.streams):
            stream.end(RpcStatus(StatusCode.UNAVAILABLE, "broken"))
        for call in list(client.calls):
            call.fail(RpcStatus(StatusCode.UNAVAILABLE, "broken"))


def result_of(deferred: Deferred[object]) -> list[object]:
    """Keep what a Deferred fires with, failures as the error."""
    results: list[object] = []
    deferred.addBoth(
        lambda result: results.append(result.value if isinstance(result, Failure) else result)
    )
    return results
