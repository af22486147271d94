"""Sessions of temporary keys: in whose name they are opened and closed, and what refuses a bind."""

from gnetway.backends.remote.connections import Announce
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendError
from gnetway.net.waits import refuses_bind
from gnetway.pb import session_pb2
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.backends.remote.cases import A, B, Cluster
from tests.backends.remote.fakes import FALSE, KINDS, FakeSession
from tests.backends.remote.test_backend import BackendCase
from tests.fakes import some_key


class NameCase(BackendCase):
    """``names`` is in whose name each node heard what: (node, kind, perm_auth_key_id)."""

    def begin(self, announce: Announce = Announce.MESSAGE) -> None:
        """Start two nodes, and open a session of a bound key whose permanent key is at A."""
        self.nodes = self.cluster(A, B, announce=announce)
        self.names: list[tuple[str, str, int]] = []
        for address in (A, B):
            self.watch(address)
        self.key = self.bound_key(A)
        self.session = FakeSession(self.key, 7)
        self.nodes.backend.open_session(self.session)

    def watch(self, address: str) -> None:
        node = self.nodes.node(address)
        handle = node.handle

        def note(method: str, request: bytes) -> bytes | RpcStatus:
            kind = KINDS[method]
            self.names.append((address, kind, name_in(kind, request)))
            return handle(method, request)

        node.handle = note  # type: ignore[method-assign]

    def bound_key(self, at: str) -> AuthKey:
        """A temporary key whose permanent key goes to a node, while key 0 goes to the other."""
        key = some_key(1, KeyKind.TEMP)
        key.perm_auth_key_id = self.perm_at(at)
        return key

    def perm_at(self, at: str) -> int:
        return next(n for n in range(1, 1000) if self.nodes.ring.node_for(n) == at)

    def say(self, payload: bytes) -> None:
        self.nodes.say(self.session, payload)
        self.nodes.settle()

    def close(self) -> None:
        self.nodes.backend.close_session(self.session)
        self.nodes.settle()


def name_in(kind: str, request: bytes) -> int:
    if kind == "create_session":
        return session_pb2.TL_session_createSession.FromString(request).client.perm_auth_key_id
    if kind == "close_session":
        return session_pb2.TL_session_closeSession.FromString(request).client.perm_auth_key_id
    return session_pb2.TL_session_sendDataToSession.FromString(request).data.perm_auth_key_id


class NameTests(NameCase):
    def test_a_session_is_closed_under_the_name_it_was_opened_with(self) -> None:
        """A bind that the service refuses takes the permanent key away from the key."""
        for announce in Announce:
            self.begin(announce)
            perm = self.key.perm_auth_key_id
            self.say(b"bind")
            self.key.perm_auth_key_id = 0
            self.close()
            self.assertEqual({name for _, _, name in self.names}, {perm})
            self.assertEqual({address for address, _, _ in self.names}, {A})
            self.assertEqual(self.names[-1], (A, "close_session", perm))
            node = self.nodes.node(A)
            self.assertEqual((node.live, node.closed_unknown), (set(), []))

    def test_what_waited_goes_out_under_the_name_it_was_said_in(self) -> None:
        """Another connection's bind may be refused while messages wait for the node."""
        self.begin()
        perm = self.key.perm_auth_key_id
        self.nodes.say(self.session, b"1")
        self.nodes.say(self.session, b"2")
        self.key.perm_auth_key_id = 0
        self.nodes.settle()
        self.assertEqual({(address, name) for address, _, name in self.names}, {(A, perm)})

    def test_a_client_that_comes_back_under_another_name(self) -> None:
        self.begin()
        first = self.key.perm_auth_key_id
        self.say(b"1")
        self.nodes.backend.close_session(self.session)
        self.key.perm_auth_key_id = second = self.perm_at(B)
        self.session = FakeSession(self.key, 7)
        self.nodes.backend.open_session(self.session)
        self.say(b"2")
        self.key.perm_auth_key_id = 0
        self.close()
        closed = [(address, name) for address, kind, name in self.names if kind == "close_session"]
        self.assertEqual(closed[-1], (B, second))
        self.assertEqual({name for _, name in closed}, {first, second})
        self.assertEqual(self.nodes.node(B).live, set())


class StreamNameTests(NameTests):
    stream = True


class DecisionTests(BackendCase):
    """What a node says to a bind, as the gateway understands it."""

    def outcome(self, reply: RpcStatus | bytes) -> BackendError:
        cluster: Cluster = self.cluster(A)
        cluster.node(A).refuse = lambda kind: reply
        cluster.say(cluster.session(), b"bind")
        cluster.settle()
        [error] = cluster.outcomes[b"bind"]
        assert error is not None
        return error

    def test_refusals(self) -> None:
        for status in (
            RpcStatus(400, "ENCRYPTED_MESSAGE_INVALID"),
            RpcStatus(StatusCode.UNKNOWN, "rpc error: code = Code(400) ENCRYPTED_MESSAGE_INVALID"),
            RpcStatus(StatusCode.UNKNOWN, "AUTH_KEY_UNREGISTERED"),
            RpcStatus(StatusCode.KEY_UNREGISTERED, "AUTH_KEY_UNREGISTERED"),
        ):
            with self.subTest(status=status):
                self.assertTrue(refuses_bind(self.outcome(status)))

    def test_faults(self) -> None:
        """Android deletes its permanent key at a refusal, so nothing else may look like one."""
        for status in (
            RpcStatus(StatusCode.UNKNOWN, "panic"),
            RpcStatus(StatusCode.RESOURCE_EXHAUSTED, "too many"),
            RpcStatus(StatusCode.INTERNAL, "DB_DOWN"),
            RpcStatus(500, "INTERNAL"),
        ):
            with self.subTest(status=status):
                self.assertFalse(refuses_bind(self.outcome(status)))

    def test_false(self) -> None:
        """The service could not queue the message, and has not looked at it."""
        self.assertFalse(refuses_bind(self.outcome(FALSE)))

    def test_unreadable(self) -> None:
        if not self.stream:
            self.assertFalse(refuses_bind(self.outcome(b"\xff")))


class StreamDecisionTests(DecisionTests):
    stream = True
