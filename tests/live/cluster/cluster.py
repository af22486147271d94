"""What the tests of a cluster start: etcd, session nodes, and a gateway before them."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import ClassVar
from unittest import TestCase

from gnetway.config.session import Carrier
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.testing import ClientSession
from tests.live.cluster.session_service import SessionNode, SessionService, Told
from tests.live.cluster.talker import Talker
from tests.live.etcd_server import EtcdServer
from tests.live.gateway import Gateway, until
from tests.live.loadgen import KnownKeys, LoadgenSession
from tests.ports import free_port

#: Where session services and gateways stand in etcd.
SESSIONS = "interface.session"
GATEWAYS = "interface.gateway"


class ClusterGateway(Gateway):
    """A gateway that finds its session nodes in etcd; ``session`` adds to that section."""

    def __init__(
        self,
        etcd: str,
        by_stream: bool,
        session: Mapping[str, object],
        carrier: Carrier = Carrier.NATIVE,
    ) -> None:
        super().__init__()
        self.grpc_address = f"127.0.0.1:{free_port()}"
        self.config |= {
            "ListenOn": self.grpc_address,
            "Etcd": {"Hosts": [etcd], "Key": GATEWAYS},
            "UseStreamSession": by_stream,
            "Rpc": {"Carrier": carrier.value},
            "Session": {"Etcd": {"Hosts": [etcd], "Key": SESSIONS}} | dict(session),
        }
        self.write_config()

    def knows(self, address: str) -> None:
        """Wait until it has heard of a session node."""
        until(lambda: f"session node {address} joins" in self.log, f"{address} joins")


class ClusterTestCase(TestCase):
    """An etcd and a gateway for each test; ``session`` is what its section has besides Etcd.

    All tests are run with the native carrier, and some with grpcio as well.
    """

    by_stream = False
    carrier = Carrier.NATIVE
    session: ClassVar[Mapping[str, object]] = {}

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gnetway-cluster-"))
        self.addCleanup(rmtree, self.folder)
        self.etcd = EtcdServer()
        self.addCleanup(self.etcd.remove)
        self.etcd.start()
        self.service = SessionService(reply_by_stream=self.by_stream)
        self.addCleanup(self.service.close)
        self.gateway = ClusterGateway(self.etcd.host, self.by_stream, self.session, self.carrier)
        self.addCleanup(self.gateway.remove)
        self.addCleanup(self.assert_no_faults, self.gateway)
        self._listed = 0

    def assert_no_faults(self, gateway: Gateway) -> None:
        """Whatever happens around it, no error of the gateway's own is in its log."""
        log = gateway.log if gateway.log_file.exists() else ""
        for sign in ("Traceback", "#error", "#critical"):
            self.assertNotIn(sign, log)

    @property
    def reply(self) -> str:
        """How foreign session services send to the gateway."""
        return "stream" if self.by_stream else "unary"

    # -- session nodes -------------------------------------------------------------------------

    def list_node(self, address: str) -> str:
        """Put a node into etcd; returns its key there."""
        self._listed += 1
        name = f"{SESSIONS}/{self._listed}"
        self.etcd.ctl("put", name, address)
        return name

    def start_nodes(self, number: int) -> list[SessionNode]:
        """Start nodes of our own, not yet in etcd."""
        nodes = [SessionNode(self.service) for _ in range(number)]
        for node in nodes:
            self.addCleanup(node.kill)
            node.start()
        return nodes

    def start_cluster(self, number: int) -> list[SessionNode]:
        """Start nodes of our own, and the gateway that has heard of them."""
        nodes = self.start_nodes(number)
        for node in nodes:
            self.list_node(node.address)
        self.start_gateway([node.address for node in nodes])
        return nodes

    def start_gateway(self, nodes: list[str]) -> None:
        self.gateway.start()
        for node in nodes:
            self.gateway.knows(node)

    def foreign_nodes(self, number: int, keys: KnownKeys) -> list[LoadgenSession]:
        """Start session services of others, which name themselves in etcd."""
        nodes = [
            LoadgenSession(self.folder, keys.file, f"http://{self.etcd.host}", self.reply)
            for _ in range(number)
        ]
        for node in nodes:
            self.addCleanup(node.kill)
            node.start()
        until(
            lambda: set(self.etcd.read(SESSIONS).values()) >= {node.address for node in nodes},
            "session services in etcd",
        )
        return nodes

    # -- clients -------------------------------------------------------------------------------

    def new_session(self) -> ClientSession:
        """Return a session of a new key that the service knows."""
        key = AuthKey(os.urandom(256), KeyKind.PERM)
        self.service.know(key)
        return ClientSession(key, 1, os.urandom)

    def talkers(self, number: int, depth: int = 4) -> list[Talker]:
        return [Talker(self.gateway, self.new_session(), depth) for _ in range(number)]

    # -- what was heard ------------------------------------------------------------------------

    def data_of(self, talker: Talker) -> list[Told]:
        return [told for told in self.service.heard("data") if told.session == talker.name]

    def assert_served(self, talkers: list[Talker], most_doubles: int = 0) -> None:
        """Everything arrived in its order, was answered, and was announced before.

        ``most_doubles`` is how many messages of one talker may have arrived twice.
        """
        for talker in talkers:
            heard = [told.msg_id for told in self.data_of(talker)]
            self.assertEqual(list(dict.fromkeys(heard)), talker.sent)
            self.assertEqual(talker.answered, set(talker.sent))
            self.assertLessEqual(len(heard) - len(talker.sent), most_doubles)
            self.assert_announced(talker)

    def assert_announced(self, talker: Talker) -> None:
        """A node's first word of a session is its announcement."""
        known: set[str] = set()
        for told in list(self.service.told):
            if told.session != talker.name:
                continue
            if told.method == "create" or told.conn_type == 1:
                known.add(told.node)
            elif told.method == "data":
                self.assertIn(told.node, known)

    def assert_all_closed(self) -> None:
        """Every session that a living node knows is closed there, once the clients are gone."""

        def left() -> set[tuple[str, tuple[int, int]]]:
            open_now: set[tuple[str, tuple[int, int]]] = set()
            for told in list(self.service.told):
                place = (told.node, told.session)
                if told.method == "create" or told.conn_type == 1:
                    open_now.add(place)
                elif told.method == "close":
                    open_now.discard(place)
            return open_now

        until(lambda: not left(), "sessions closed")
