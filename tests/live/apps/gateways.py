"""The gateways of these tests: one for each backend, started once and used by all of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from unittest import TestCase

from gnetway.config.session import Carrier
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.testing import Style, Wish
from tests.live.apps.keys import make_key
from tests.live.apps.proof import LIFETIME_SECONDS
from tests.live.apps.session_service import SessionNode, SessionService, accept
from tests.live.apps.wire import OBFUSCATED_ABRIDGED, TCP, AppSession, Line, connect
from tests.live.gateway import Gateway, until
from tests.ports import free_port

NAME_HANDLER = "tests.live.apps.handler.NameHandler"


@dataclass(frozen=True)
class Backend:
    """What stands behind a gateway: ``nodes`` of the session service, none for the embedded one.

    ``limits`` are those of Gnetway.Limits, by name.
    """

    nodes: int = 0
    by_stream: bool = False
    carrier: Carrier = Carrier.NATIVE
    limits: tuple[tuple[str, int], ...] = ()

    @property
    def remote(self) -> bool:
        return self.nodes > 0


EMBEDDED = Backend()
UNARY = Backend(1)
STREAM = Backend(1, by_stream=True)
GRPCIO_UNARY = Backend(1, carrier=Carrier.GRPCIO)
GRPCIO_STREAM = Backend(1, by_stream=True, carrier=Carrier.GRPCIO)
TWO_NODES = Backend(2)
TWO_NODES_BY_STREAM = Backend(2, by_stream=True)


class AppGateway(Gateway):
    """A gateway for every transport on one port; ``service`` is there for a remote backend."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(dict(backend.limits), NAME_HANDLER)
        self.service = SessionService(backend.by_stream)
        self.nodes = [SessionNode(self.service) for _ in range(backend.nodes)]
        # Short waits, so that faults of the backend are told soon.
        limits: Mapping[str, int] = {"KeyLookupSeconds": 3} | dict(backend.limits)
        self.config["Gnetway"] = {
            "Server": [{"Proto": "auto", "Addresses": [self.address]}],
            "Limits": dict(limits),
        }
        if backend.remote:
            self.config |= {
                "ListenOn": f"127.0.0.1:{free_port()}",
                "UseStreamSession": backend.by_stream,
                "Rpc": {"Carrier": backend.carrier.value},
                "Session": {
                    "Endpoints": [node.address for node in self.nodes],
                    "Timeout": 1000,
                    "Hold": {"Seconds": 2},
                },
            }
        self.write_config()

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        super().start()
        for line in (f"session node {node.address} joins" for node in self.nodes):
            until(partial(self._has_logged, line), line)

    def _has_logged(self, line: str) -> bool:
        return line in self.log

    def remove(self) -> None:
        super().remove()
        self.service.close()
        for node in self.nodes:
            node.kill()


#: Those that run.
_running: dict[Backend, AppGateway] = {}


def gateway_for(backend: Backend) -> AppGateway:
    """Return the running gateway with that backend; the first who asks starts it."""
    gateway = _running.get(backend)
    if gateway is None:
        gateway = AppGateway(backend)
        _running[backend] = gateway
        gateway.start()
    return gateway


def remove_all() -> None:
    """End them all."""
    while _running:
        _running.popitem()[1].remove()


class AppCase(TestCase):
    """Tests against the gateway with ``backend``.

    Whatever a test does, nothing goes to the session service without a permanent key's name, and
    the gateway has nothing to complain about.
    """

    backend: ClassVar[Backend] = EMBEDDED
    maxDiff = None  # noqa: N815 - unittest reads it

    def setUp(self) -> None:
        self.gateway = gateway_for(self.backend)
        self.service = self.gateway.service
        self.service.verdict = accept
        self._heard_before = len(self.service.heard)
        self._log_before = len(self.gateway.log)
        self.addCleanup(self._look_at_the_end)

    def connect(self, way: str = TCP, style: Style = OBFUSCATED_ABRIDGED) -> Line:
        return connect(self.gateway.port, way, style=style)

    def new_perm_key(self) -> AuthKey:
        """Return a permanent key that the backend knows."""
        if self.backend.remote:
            return self.service.know(AuthKey(os.urandom(256), KeyKind.PERM))
        with self.connect() as line:
            return make_key(line, self.gateway.rsa).key

    def new_temp_key(self, line: Line) -> AppSession:
        """Make a temporary key on a line."""
        return make_key(line, self.gateway.rsa, Wish(dc=2, expires_in=LIFETIME_SECONDS))

    def _look_at_the_end(self) -> None:
        self.assertTrue(self.gateway.running)
        said = self.gateway.log[self._log_before :]
        for sign in ("Traceback", "#error", "#critical", "Unhandled"):
            self.assertNotIn(sign, said)

    def assert_no_nameless(self) -> None:
        """Nothing was sent under perm_auth_key_id 0."""
        nameless = [
            heard
            for heard in self.service.heard[self._heard_before :]
            if heard.method not in ("query", "set") and heard.perm_auth_key_id == 0
        ]
        self.assertEqual(nameless, [])
