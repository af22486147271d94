"""Gateways before session nodes that are a trouble: each is started once, for all who need it."""

import ast
import os
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final
from unittest import TestCase

import grpc

from gnetway.config.session import Carrier
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.testing import ClientSession, QuickAck
from tests.live.client import LinkEnded, LiveClient
from tests.live.cluster.faulty_node import CountingNode, DeadAddress, WrongServer
from tests.live.cluster.session_service import SessionService, Told, accept
from tests.live.cluster.talker import Talker
from tests.live.gateway import Gateway, until
from tests.ports import free_port

#: Causes of the ends of connections: a message above Session.MaxMessageBytes, and one that a node
#: has refused.
TOO_BIG: Final = "message_too_big"
REFUSED: Final = "message_refused"

#: How long a client may hear nothing. Who is forgotten hears nothing for ever.
SILENCE_SECONDS: Final = 10.0

_CAUSES: Final = "connections ended, by cause: "


class FixedGateway(Gateway):
    """A gateway whose nodes are named in its configuration."""

    def __init__(
        self, by_stream: bool, carrier: Carrier, nodes: list[str], session: Mapping[str, object]
    ) -> None:
        super().__init__()
        self.config |= {
            "ListenOn": f"127.0.0.1:{free_port()}",
            "UseStreamSession": by_stream,
            "Rpc": {"Carrier": carrier.value},
            "Session": {"Endpoints": nodes} | dict(session),
        }
        self.write_config()

    def start_with(self, sound: list[str]) -> None:
        """Start, and wait until the sound ones of its nodes have joined."""
        self.start()
        for node in sound:
            until(partial(self._has_logged, f"session node {node} joins"), f"{node} joins")

    def _has_logged(self, text: str) -> bool:
        return text in self.log

    def causes(self) -> Counter[str]:
        """Ask for the causes by which connections have ended so far."""
        before = self.log.count(_CAUSES)
        os.kill(self.pid, signal.SIGUSR2)
        until(lambda: self.log.count(_CAUSES) > before, "counts")
        told = self.log.rpartition(_CAUSES)[2].partition("\n")[0]
        return Counter(ast.literal_eval(told))


@dataclass(frozen=True)
class Setup:
    """What there is: sound nodes, servers of another kind by what they answer, dead addresses.

    ``max_message_bytes`` is Session.MaxMessageBytes, 0 for its default.
    """

    by_stream: bool
    carrier: Carrier
    max_message_bytes: int = 0
    wrong: tuple[grpc.StatusCode, ...] = ()
    dead: int = 0


class Cluster:
    """One gateway, two sound nodes, and what else its setup asks for."""

    def __init__(self, setup: Setup) -> None:
        self.service = SessionService(reply_by_stream=setup.by_stream)
        self.nodes = [CountingNode(self.service) for _ in range(2)]
        self.wrong = [WrongServer(status) for status in setup.wrong]
        dead = [DeadAddress() for _ in range(setup.dead)]
        self._servers: list[CountingNode | WrongServer | DeadAddress] = [
            *self.nodes,
            *self.wrong,
            *dead,
        ]
        most = setup.max_message_bytes
        self.gateway = FixedGateway(
            setup.by_stream,
            setup.carrier,
            [server.address for server in self._servers],
            {"MaxMessageBytes": most} if most else {},
        )

    def start(self) -> None:
        for server in self._servers:
            server.start()
        self.gateway.start_with([node.address for node in self.nodes])

    def remove(self) -> None:
        self.gateway.remove()
        self.service.close()
        for server in self._servers:
            server.kill()


#: Those that run.
_running: dict[Setup, Cluster] = {}


def cluster_for(setup: Setup) -> Cluster:
    """Return the running cluster of a setup; the first who asks starts it."""
    cluster = _running.get(setup)
    if cluster is None:
        cluster = _running[setup] = Cluster(setup)
        cluster.start()
    return cluster


def remove_all() -> None:
    """End them all."""
    while _running:
        _running.popitem()[1].remove()


class FaultyCase(TestCase):
    """Tests with a cluster of ``setup``: by calls or stream, with either carrier."""

    by_stream = False
    carrier = Carrier.NATIVE

    #: What the setup has besides.
    more: ClassVar[Mapping[str, object]] = {}

    def setUp(self) -> None:
        setup = Setup(self.by_stream, self.carrier, **self.more)  # type: ignore[arg-type]
        self.cluster = cluster_for(setup)
        self.gateway = self.cluster.gateway
        self.service = self.cluster.service
        self.nodes = self.cluster.nodes
        self.service.verdict = accept
        self._log_start = len(self.gateway.log)
        self._told_start = len(self.service.told)
        self._causes_before = self.gateway.causes()
        self.addCleanup(self._assert_no_faults)

    def _assert_no_faults(self) -> None:
        self.assertTrue(self.gateway.running)
        signs = ("Traceback", "#error", "#critical")
        faults = [line for line in self.logged.splitlines() if any(sign in line for sign in signs)]
        self.assertEqual(faults, [])

    # -- what was said since the test began ----------------------------------------------------

    @property
    def logged(self) -> str:
        return self.gateway.log[self._log_start :]

    def lines_about(self, address: str, log: str) -> list[str]:
        """Return what a log says of a session node, but that it has joined."""
        said = f"session node {address} "
        return [line for line in log.splitlines() if said in line and not line.endswith(" joins")]

    def causes(self) -> Counter[str]:
        """Return why connections have ended; those that their clients closed are left out."""
        causes = self.gateway.causes() - self._causes_before
        del causes["client_closed"], causes["client_lost"]
        return causes

    def heard(self, method: str, session: ClientSession) -> list[Told]:
        """Return what nodes have heard of a session, in order of arrival."""
        name = session.key.auth_key_id, session.session_id
        told = self.service.told[self._told_start :]
        return [one for one in told if one.method == method and one.session == name]

    # -- clients -------------------------------------------------------------------------------

    def new_session(self) -> ClientSession:
        """Return a session of a new key that the service knows."""
        key = AuthKey(os.urandom(256), KeyKind.PERM)
        self.service.know(key)
        return ClientSession(key, 1, os.urandom)

    def talkers(self, number: int) -> list[Talker]:
        """Let clients talk; returns when each of them has had an answer."""
        talkers = [Talker(self.gateway, self.new_session()) for _ in range(number)]
        for talker in talkers:
            self.addCleanup(talker.hush)
        until(lambda: all(talker.answered or talker.fault for talker in talkers), "pongs")
        return talkers

    def assert_untouched(self, talkers: list[Talker], most_arrivals: int = 1) -> None:
        """Whatever went on beside them: nobody was cut off, all was answered, in order.

        No message has arrived more than ``most_arrivals`` times, and each session was announced
        once, at one node.
        """
        for talker in talkers:
            talker.stop()
        for talker in talkers:
            heard = self.heard("data", talker.session)
            arrivals = Counter(told.msg_id for told in heard)
            self.assertEqual(list(arrivals), talker.sent)
            self.assertEqual(talker.answered, set(talker.sent))
            self.assertLessEqual(max(arrivals.values()), most_arrivals)
            self.assertEqual(len({told.node for told in heard}), 1)
            announced = {told.msg_id for told in heard if told.conn_type == 1}
            self.assertEqual(announced, {talker.sent[0]})

    def assert_nodes_sound(self) -> None:
        """The gateway has nothing to say against its sound nodes."""
        for node in self.nodes:
            self.assertEqual(self.lines_about(node.address, self.logged), [])


def last_words(client: LiveClient) -> list[bytes | QuickAck]:
    """Return what a client hears until the gateway ends its connection.

    :raises AssertionError: it hears nothing for SILENCE_SECONDS, and is not ended either.
    """
    client.socket.settimeout(SILENCE_SECONDS)
    heard: list[bytes | QuickAck] = []
    try:
        while True:
            heard.append(client.receive())
    except (LinkEnded, ConnectionResetError):
        return heard
    except TimeoutError:
        raise AssertionError(f"{len(heard)} packets, then silence") from None
