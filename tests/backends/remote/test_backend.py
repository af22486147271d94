"""The remote backend: keys, HTTP, life."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.backends.remote.backend import DRAIN_SECONDS
from gnetway.backends.remote.connections import OutageLimits
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.interfaces import FutureSalt, ISessionBackend
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.backends.remote.cases import A, B, C, Cluster, redirecting, result_of
from tests.backends.remote.fakes import FALSE
from tests.fakes import some_key

SALT = FutureSalt(1, 2, 3)


class BackendCase(SynchronousTestCase):
    """Runs each test of a subclass over either kind of link."""

    stream = False

    def cluster(self, *addresses: str, **settings: object) -> Cluster:
        cluster = Cluster(*addresses, stream=self.stream, **settings)  # type: ignore[arg-type]
        self.addCleanup(self._stop, cluster)
        return cluster

    def _stop(self, cluster: Cluster) -> None:
        """Whatever a test leaves behind, a stop ends it and leaves nothing."""
        stopped = cluster.backend.stop()
        cluster.pass_time(DRAIN_SECONDS)
        self.successResultOf(stopped)
        self.assertEqual(cluster.clock.getDelayedCalls(), [])
        self.assertEqual((len(cluster.buffer), cluster.buffer.size), (0, 0))


class KeyTests(BackendCase):
    def test_known(self) -> None:
        cluster = self.cluster(A, B, C)
        key = some_key(3)
        address = cluster.ring.node_for(key.auth_key_id)
        cluster.node(address).keys[key.auth_key_id] = key
        asked = cluster.backend.query_auth_key(key.auth_key_id)
        cluster.settle()
        found: AuthKey = self.successResultOf(asked)
        self.assertEqual((found.secret, found.kind), (key.secret, key.kind))

    def test_unknown(self) -> None:
        """A 401 is proof, whatever hides its number."""
        cluster = self.cluster(A)
        for code in (StatusCode.UNKNOWN, StatusCode.KEY_UNREGISTERED):
            status = RpcStatus(code, "rpc error: code = Code(401) desc = AUTH_KEY_UNREGISTERED")
            cluster.node(A).refuse = lambda kind, status=status: status  # type: ignore[misc]
            asked = cluster.backend.query_auth_key(5)
            cluster.settle()
            self.failureResultOf(asked, KeyUnknown)

    def test_other_errors_prove_nothing(self) -> None:
        cluster = self.cluster(A)
        cluster.node(A).refuse = lambda kind: RpcStatus(StatusCode.INTERNAL, "DB_DOWN")
        asked = cluster.backend.query_auth_key(5)
        cluster.settle()
        self.failureResultOf(asked, BackendRefused)

    def test_the_next_node_is_asked(self) -> None:
        cluster = self.cluster(A, B)
        key = some_key(3)
        home = cluster.ring.node_for(key.auth_key_id)
        other = B if home == A else A
        cluster.node(home).up = False
        cluster.node(other).keys[key.auth_key_id] = key
        asked = cluster.backend.query_auth_key(key.auth_key_id)
        cluster.settle()
        self.successResultOf(asked)

    def test_a_query_waits(self) -> None:
        cluster = self.cluster()
        asked = cluster.backend.query_auth_key(5)
        cluster.pass_time(5)
        self.assertNoResult(asked)
        cluster.discovery.say(A)
        cluster.settle()
        self.failureResultOf(asked, KeyUnknown)

    def test_a_cancelled_query_is_gone(self) -> None:
        cluster = self.cluster()
        results = [result_of(asked) for asked in self._cancelled(cluster, 3)]
        self.assertEqual([len(result) for result in results], [1, 1, 1])
        self.assertEqual(cluster.buffer.messages, 0)
        cluster.discovery.say(A)
        cluster.settle()
        self.assertEqual(cluster.node(A).events, [])

    def test_a_query_cancelled_on_its_way(self) -> None:
        """It is not asked again when it fails; nothing is lost by that."""
        cluster = self.cluster(A)
        cluster.node(A).frozen = True
        list(map(result_of, self._cancelled(cluster, 1)))
        cluster.node(A).frozen = False
        cluster.links_down(A)
        cluster.pass_time(1)
        self.assertEqual(cluster.node(A).events, [])
        self.assertEqual(cluster.backend.lost.as_dict(), {})

    def _cancelled(self, cluster: Cluster, count: int) -> list[Deferred[object]]:
        queries: list[Deferred[object]] = []
        for number in range(count):
            asked: Deferred[object] = cluster.backend.query_auth_key(number)  # type: ignore[assignment]
            queries.append(asked)
        cluster.settle()
        for query in queries:
            query.cancel()
        return queries

    def test_an_outage_is_not_a_lost_key(self) -> None:
        cluster = self.cluster(A, outage=OutageLimits(max_seconds=3))
        cluster.node(A).up = False
        asked = cluster.backend.query_auth_key(5)
        cluster.pass_time(4)
        self.failureResultOf(asked, BackendUnavailable)

    def test_stored(self) -> None:
        cluster = self.cluster(A, B)
        key = some_key(2)
        stored = cluster.backend.set_auth_key(key, SALT, 0)
        self.assertNoResult(stored)
        cluster.settle()
        self.assertIs(self.successResultOf(stored), True)
        home = cluster.node(cluster.ring.node_for(key.auth_key_id))
        self.assertEqual(home.kinds(), ["set_auth_key"])

    def test_refused(self) -> None:
        """Nothing but boolTrue says that a key is stored."""
        for reply in (FALSE, b""):
            cluster = self.cluster(A)
            cluster.node(A).refuse = lambda kind, reply=reply: reply  # type: ignore[misc]
            stored = cluster.backend.set_auth_key(some_key(2), SALT, 0)
            cluster.settle()
            self.assertIs(self.successResultOf(stored), False)

    def test_storing_does_not_wait(self) -> None:
        cluster = self.cluster(A, B)
        cluster.node(A).up = cluster.node(B).up = False
        stored = cluster.backend.set_auth_key(some_key(2), SALT, 0)
        cluster.settle()
        self.failureResultOf(stored, BackendUnavailable)
        self.failureResultOf(
            self.cluster().backend.set_auth_key(some_key(2), SALT, 0), BackendUnavailable
        )

    def test_storing_on_a_full_link(self) -> None:
        cluster = self.cluster(A, options=RpcOptions(max_unsent_messages=1, max_calls=1))
        first = cluster.backend.set_auth_key(some_key(1), SALT, 0)
        second = cluster.backend.set_auth_key(some_key(2), SALT, 0)
        self.failureResultOf(second, BackendUnavailable)
        cluster.settle()
        self.successResultOf(first)

    def test_sent_again(self) -> None:
        """A query or a key is sent again as often as its connection breaks."""
        cluster = self.cluster(A)
        cluster.node(A).frozen = True
        asked = cluster.backend.query_auth_key(5)
        for _ in range(4):
            cluster.settle()
            cluster.links_down(A)
            cluster.pass_time(1)
        self.assertNoResult(asked)
        cluster.node(A).frozen = False
        cluster.links_down(A)
        cluster.pass_time(3)
        self.failureResultOf(asked, KeyUnknown)


class StreamKeyTests(KeyTests):
    stream = True


class HttpTests(BackendCase):
    def test_answer(self) -> None:
        cluster = self.cluster(A, B, C)
        session = cluster.session(4)
        asked = cluster.backend.send_http_data(session, 5, b"hello")
        cluster.settle()
        self.assertEqual(self.successResultOf(asked), b"answer")
        node = cluster.node(cluster.ring.node_for(session.key.auth_key_id))
        (event,) = node.events
        self.assertEqual((event.kind, event.payload, event.conn_type), ("http", b"hello", 2))

    def test_failover(self) -> None:
        cluster = self.cluster(A, B)
        session = cluster.session(4, at=A)
        cluster.node(A).up = False
        asked = cluster.backend.send_http_data(session, 5, b"hello")
        cluster.settle()
        self.assertEqual(self.successResultOf(asked), b"answer")

    def test_at_most_twice(self) -> None:
        cluster = self.cluster(A, B, C, timeout_seconds=2)
        for address in (A, B, C):
            cluster.node(address).frozen = True
        asked = cluster.backend.send_http_data(cluster.session(4), 5, b"hello")
        cluster.pass_time(5)
        self.failureResultOf(asked, BackendUnavailable)


class StreamHttpTests(HttpTests):
    stream = True


class RedirectedKeyTests(BackendCase):
    def test_query(self) -> None:
        cluster = self.cluster(A)
        key = some_key(3)
        cluster.node(A).refuse = redirecting(C)
        cluster.node(C).keys[key.auth_key_id] = key
        asked = cluster.backend.query_auth_key(key.auth_key_id)
        stored = cluster.backend.set_auth_key(key, SALT, 0)
        cluster.settle()
        self.successResultOf(asked)
        self.assertTrue(self.successResultOf(stored))

    def test_twice(self) -> None:
        cluster = self.cluster(A)
        cluster.node(A).refuse = redirecting(C)
        cluster.node(C).refuse = redirecting(A)
        asked = cluster.backend.query_auth_key(3)
        cluster.settle()
        self.failureResultOf(asked, BackendRefused)


class StreamRedirectedKeyTests(RedirectedKeyTests):
    stream = True


class LifeTests(BackendCase):
    def test_interface(self) -> None:
        self.assertTrue(verifyObject(ISessionBackend, self.cluster().backend))

    def test_description(self) -> None:
        self.assertEqual(
            self.cluster().backend.description,
            f"session service {'by stream' if self.stream else 'by unary calls'}, fake",
        )

    def test_a_failing_discovery_is_logged(self) -> None:
        cluster = self.cluster()
        cluster.discovery.started.errback(ValueError("no etcd"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_stop_drains(self) -> None:
        """Closes that came before the stop still reach the nodes."""
        cluster = self.cluster(A)
        session = cluster.session()
        cluster.say(session, b"1")
        cluster.backend.close_session(session)
        stopped = cluster.backend.stop()
        self.assertNoResult(stopped)
        cluster.settle()
        self.successResultOf(stopped)
        self.assertEqual(cluster.node(A).kinds(), ["send_data", "close_session"])
        self.assertTrue(cluster.discovery.stopped)
        self.assertTrue(all(client.closed for client in cluster.carrier.clients))

    def test_a_stop_does_not_wait_for_ever(self) -> None:
        cluster = self.cluster(A)
        cluster.node(A).frozen = True
        session = cluster.session()
        cluster.say(session, b"1")
        asked = cluster.backend.query_auth_key(1)
        cluster.settle()
        stopped = cluster.backend.stop()
        cluster.clock.advance(DRAIN_SECONDS - 0.1)
        self.assertNoResult(stopped)
        cluster.clock.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(cluster.outcome(b"1"), "BackendUnavailable")
        self.failureResultOf(asked, BackendUnavailable)

    def test_after_a_stop(self) -> None:
        """Nothing connects any more, and nobody waits for that."""
        cluster = self.cluster(A)
        self.successResultOf(cluster.backend.stop())
        cluster.discovery.say(A, B)
        self.failureResultOf(cluster.backend.query_auth_key(1), BackendUnavailable)
        self.assertEqual(len(cluster.carrier.clients), 1)


class StreamLifeTests(LifeTests):
    stream = True
