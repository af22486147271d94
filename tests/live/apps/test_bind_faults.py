"""A backend that fails at a bind says nothing about its proof: the client keeps its keys.

Android and Desktop throw the permanent key away at ENCRYPTED_MESSAGE_INVALID, and the temporary one
at -404. Neither is told here: the connection is closed, 503 over HTTP, and the client comes back.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing

from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import RpcResult
from tests.live.apps.gateways import (
    EMBEDDED,
    GRPCIO_STREAM,
    GRPCIO_UNARY,
    STREAM,
    UNARY,
    AppCase,
)
from tests.live.apps.proof import LIFETIME_SECONDS, REFUSED, Bind
from tests.live.apps.session_service import Heard, accept
from tests.live.apps.talk import Talk
from tests.live.apps.wire import (
    HTTP,
    TCP,
    WEBSOCKET,
    AppSession,
    Ended,
    Silence,
    TransportError,
)
from tests.live.client import now
from tests.live.rpc_node import Fault

WAYS = (TCP, WEBSOCKET, HTTP)

TRUE = pack_uint32(Constructor.BOOL_TRUE)

#: What a node says that is in trouble, by gRPC's numbers; a stream tells each as 500.
FAULTS = {
    "overloaded": Fault(2, "overloaded"),
    "exhausted": Fault(8, "no room"),
    "internal": Fault(13, "a bug"),
    "unavailable": Fault(14, "going down"),
}


class BindFaultCase(AppCase):
    def setUp(self) -> None:
        super().setUp()
        self.perm = self.new_perm_key()

    def outcome(self, talk: Talk) -> str:
        """Send an honest bind, and say what came of it."""
        session = talk.session
        msg_id = session.next_msg_id(now())
        expires_at = int(now()) + LIFETIME_SECONDS
        bind = Bind.honest(session.key, self.perm, session.session_id, msg_id, expires_at)
        try:
            talk.say(bind.call(), msg_id)
            result = talk.result(msg_id)
        except Ended:
            return "closed"
        except Silence:
            return "silence"
        except TransportError as error:
            return str(error.code)
        if result.error == REFUSED:
            return "refused"
        return "bound" if RpcResult.parse(result.body).result == TRUE else "something else"

    def bind_on_a_new_line(self, way: str, session: AppSession) -> str:
        with self.connect(way) as line:
            return self.outcome(Talk(line, session))


class UnaryBindFaultTests(BindFaultCase):
    backend = UNARY

    def told(self, way: str, verdict: Callable[[Heard], None]) -> tuple[str, str]:
        """Return what comes of a bind while the service has that verdict, and of it afterwards."""
        with self.connect(way) as line:
            session = self.new_temp_key(line)
            self.service.verdict = verdict
            before = self.outcome(Talk(line, session))
        self.service.verdict = accept
        return before, self.bind_on_a_new_line(way, session)

    def test_a_fault_at_the_bind(self) -> None:
        wrong = {}
        for name, fault in FAULTS.items():
            for way in WAYS:
                told = self.told(way, failing("data", fault))
                if told != (lost(way), "bound"):
                    wrong[f"{name}, {way}"] = told
        self.assertEqual(wrong, {})

    def test_a_fault_at_the_look_up_of_the_permanent_key(self) -> None:
        wrong = {}
        for name, fault in FAULTS.items():
            for way in WAYS:
                # One that no gateway has in its cache.
                self.perm = self.new_perm_key()
                told = self.told(way, failing("query", fault))
                if told != (lost(way), "bound"):
                    wrong[f"{name}, {way}"] = told
        self.assertEqual(wrong, {})

    def test_a_service_that_refuses(self) -> None:
        """It does not know the key, or says itself that the message is invalid: that is proof."""
        fault = Fault(2, "AUTH_KEY_UNREGISTERED")
        for way in WAYS:
            with self.subTest(way=way):
                before, _ = self.told(way, failing("data", fault))
                self.assertEqual(before, "refused")


class StreamBindFaultTests(UnaryBindFaultTests):
    backend = STREAM

    def test_a_code_400(self) -> None:
        for way in (TCP, WEBSOCKET):
            with self.subTest(way=way):
                fault = Fault(2, "ENCRYPTED_MESSAGE_INVALID", stream_code=400)
                before, _ = self.told(way, failing("data", fault))
                self.assertEqual(before, "refused")


class GrpcioUnaryBindFaultTests(UnaryBindFaultTests):
    backend = GRPCIO_UNARY


class GrpcioStreamBindFaultTests(StreamBindFaultTests):
    backend = GRPCIO_STREAM


class StoreFaultTests(BindFaultCase):
    """The embedded backend's store fails: somebody has taken its tables away."""

    backend = EMBEDDED

    def rename_tables(self, old: str, new: str) -> None:
        with closing(sqlite3.connect(self.gateway.folder / "keys.sqlite")) as store, store:
            named = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for name in (name for (name,) in named if name.startswith(old)):
                store.execute(f"ALTER TABLE {name} RENAME TO {new}{name.removeprefix(old)}")

    def test_a_store_that_fails(self) -> None:
        for way in WAYS:
            with self.subTest(way=way), self.connect(way) as line:
                session = self.new_temp_key(line)
                self.rename_tables("", "gone_")
                try:
                    told = self.outcome(Talk(line, session))
                finally:
                    self.rename_tables("gone_", "")
                self.assertEqual(told, lost(way))
                self.assertEqual(self.bind_on_a_new_line(way, session), "bound")

    def _look_at_the_end(self) -> None:
        # The fault is the operator's to mend, so it is logged.
        self.assertTrue(self.gateway.running)


def lost(way: str) -> str:
    """What a client hears of a backend that cannot tell."""
    return "-503" if way == HTTP else "closed"


def failing(method: str, fault: Fault) -> Callable[[Heard], None]:
    """Return a verdict: requests of that kind fail, also those that HTTP brings."""

    def verdict(heard: Heard) -> None:
        if heard.method == method or (method, heard.method) == ("data", "http"):
            raise fault

    return verdict
