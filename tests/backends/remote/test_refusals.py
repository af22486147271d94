"""What a node refuses, and clients that are not read while their messages get no further."""

from gnetway.dispatch.request import MAX_WAITING, MAX_WAITING_BYTES
from gnetway.errors import KeyUnknown
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.backends.remote.cases import A, Cluster
from tests.backends.remote.fakes import FALSE
from tests.backends.remote.test_backend import BackendCase
from tests.backends.remote.test_sessions import texts


class RefusalTests(BackendCase):
    def told(self, reply: RpcStatus | bytes) -> Cluster:
        cluster = self.cluster(A)
        cluster.node(A).refuse = lambda kind: reply
        cluster.say(cluster.session(), b"bind")
        cluster.backend.send_data(cluster.session(2), 5, b"data", True, None)
        cluster.settle()
        return cluster

    def test_a_bind(self) -> None:
        cluster = self.told(RpcStatus(StatusCode.UNKNOWN, "AUTH_KEY_UNREGISTERED"))
        self.assertIsInstance(cluster.outcomes[b"bind"][0], KeyUnknown)
        self.assertEqual(cluster.backend.refused.as_dict(), {"AUTH_KEY_UNREGISTERED": 1})

    def test_false(self) -> None:
        cluster = self.told(FALSE)
        self.assertEqual(cluster.outcome(b"bind"), "BackendRefused")
        self.assertEqual(cluster.backend.refused.as_dict(), {"BOOL_FALSE": 1})

    def test_unreadable(self) -> None:
        """What cannot be read is refused, and what comes behind it goes on."""
        if self.stream:
            return
        cluster = self.told(b"\xff")
        self.assertEqual(cluster.outcome(b"bind"), "BackendRefused")
        self.assertEqual(cluster.backend.refused.as_dict(), {"UNREADABLE_REPLY": 1})
        cluster.node(A).refuse = lambda kind: None
        for number in (1, 2):
            cluster.say(cluster.session(number), b"next %d" % number)
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), [b"next 1", b"next 2"])

    def test_causes_are_few(self) -> None:
        """Errors are counted by their names, however talkative they are."""
        cluster = self.told(RpcStatus(StatusCode.UNKNOWN, "user 9381: PEER_FLOOD (0x7f21)"))
        self.assertEqual(cluster.backend.refused.as_dict(), {"PEER_FLOOD": 1})
        cluster = self.told(RpcStatus(StatusCode.UNKNOWN, "panic at 0x7f21"))
        self.assertEqual(cluster.backend.refused.as_dict(), {"2": 1})

    def test_the_next_ones_go_on(self) -> None:
        cluster = self.cluster(A)
        session = cluster.session()
        replies = [RpcStatus(StatusCode.INTERNAL, "DB_DOWN")]
        cluster.node(A).refuse = lambda kind: replies.pop() if replies else None
        cluster.say(session, *texts(4))
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), texts(3, 1))

    def test_too_large(self) -> None:
        """A message that no stream carries is refused alone."""
        if not self.stream:
            return
        cluster = self.cluster(A, options=RpcOptions(max_message_bytes=500))
        session = cluster.session()
        cluster.say(session, bytes(600), b"1", b"2")
        cluster.settle()
        self.assertEqual(cluster.outcome(bytes(600)), "BackendRefused")
        self.assertEqual(cluster.node(A).payloads(), [b"1", b"2"])
        self.assertEqual(cluster.node(A).unannounced, [])


class StreamRefusalTests(RefusalTests):
    stream = True


class BackpressureTests(BackendCase):
    def test_messages(self) -> None:
        if self.stream:
            return
        cluster = self.cluster(A)
        session = cluster.session()
        cluster.say(session, *texts(MAX_WAITING + 1))
        self.assertEqual(session.paused, 0)
        cluster.say(session, b"last")
        self.assertEqual(session.paused, 1)
        for _ in range(MAX_WAITING // 2):
            self.assertEqual(session.paused, 1)
            cluster.carrier.under_way()[0].step()
        cluster.carrier.under_way()[0].step()
        self.assertEqual(session.paused, 0)
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), [*texts(MAX_WAITING + 1), b"last"])

    def test_bytes(self) -> None:
        if self.stream:
            return
        cluster = self.cluster(A)
        session = cluster.session()
        cluster.say(session, b"1", b"x" * (MAX_WAITING_BYTES // 2), b"y" * (MAX_WAITING_BYTES // 2))
        self.assertEqual(session.paused, 0)
        cluster.say(session, b"2")
        self.assertEqual(session.paused, 1)
        cluster.settle()
        self.assertEqual(session.paused, 0)

    def test_full_link(self) -> None:
        """Who does not get through is not read until there is room; then all go on in order."""
        cluster = self.cluster(A, options=RpcOptions(max_unsent_messages=2, max_calls=2))
        sessions = [cluster.session(number) for number in range(4)]
        for number, session in enumerate(sessions):
            cluster.say(session, *(b"%d:%d" % (number, one) for one in range(5)))
        self.assertEqual(sum(session.paused for session in sessions), 4 if self.stream else 2)
        cluster.settle()
        self.assertEqual([session.paused for session in sessions], [0] * 4)
        for number, session in enumerate(sessions):
            expected = [b"%d:%d" % (number, one) for one in range(5)]
            self.assertEqual(cluster.node(A).payloads(session.name), expected)

    def test_a_paused_client_comes_back(self) -> None:
        """The new connection is paused in place of the old one, and goes on with the lane."""
        cluster = self.cluster()
        session = cluster.session()
        cluster.say(session, b"1")
        self.assertEqual(session.paused, 1)
        cluster.backend.close_session(session)
        again = cluster.session()
        self.assertEqual((session.paused, again.paused), (0, 1))
        cluster.discovery.say(A)
        cluster.settle()
        self.assertEqual((session.paused, again.paused), (0, 0))


class StreamBackpressureTests(BackpressureTests):
    stream = True
