from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.pb.gateway_pb2 import GatewayStreamRequest
from gnetway.pb.mtproto_pb2 import Bool
from gnetway.push.server import STREAM_METHOD, UNARY_METHOD, PushServer
from gnetway.rpc.calls import IRpcStream, IStreamListener, RpcPeer
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.fakes import FakeTarget
from tests.push.fakes import KEY_ID, PLAINTEXT, SESSION_ID, FakeStream, push_of

PEER = RpcPeer("ipv4:10.0.0.7:40312")


class ServerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.target = FakeTarget()
        self.server = PushServer()
        self.server.serve(self.target)

    def counted(self) -> dict[str, int]:
        return self.server.counts.as_dict()


class UnaryTests(ServerCase):
    def call(self, request: bytes) -> Bool:
        answer = self.server.handlers().unary[UNARY_METHOD](request, PEER)
        assert isinstance(answer, bytes)
        return Bool.FromString(answer)

    def refused(self, request: bytes) -> None:
        error = self.assertRaises(RpcStatus, self.call, request)
        self.assertEqual(error.code, StatusCode.INVALID_ARGUMENT)

    def test_names(self) -> None:
        self.assertEqual(UNARY_METHOD, "/gateway.RPCGateway/gateway_sendDataToGateway")
        self.assertEqual(STREAM_METHOD, "/gateway.RPCGatewayStream/GatewayDataStream")

    def test_delivered(self) -> None:
        answer = self.call(push_of().SerializeToString())
        self.assertEqual((answer.predicate_name, answer.constructor), ("boolTrue", -1720552011))
        self.assertEqual(self.target.pushed, [(KEY_ID, SESSION_ID, PLAINTEXT)])

    def test_nobody_holds_it(self) -> None:
        self.target.reachable = False
        answer = self.call(push_of().SerializeToString())
        self.assertEqual((answer.predicate_name, answer.constructor), ("boolFalse", -1132882121))

    def test_no_protobuf(self) -> None:
        self.refused(b"\xff\xff\xff")
        self.assertEqual(self.counted(), {"malformed": 1})

    def test_malformed(self) -> None:
        self.refused(push_of(PLAINTEXT[:20]).SerializeToString())
        self.refused(push_of(PLAINTEXT[:-1]).SerializeToString())
        self.refused(b"")
        self.assertEqual(self.counted(), {"malformed": 3})
        self.assertEqual(self.target.pushed, [])

    @given(request=binary(max_size=100))
    def test_anything(self, request: bytes) -> None:
        try:
            self.call(request)
        except RpcStatus as status:
            self.assertEqual(status.code, StatusCode.INVALID_ARGUMENT)


class StreamTests(ServerCase):
    def open(self, stream: FakeStream) -> IStreamListener:
        listener = self.server.handlers().streams[STREAM_METHOD](stream)
        verifyObject(IStreamListener, listener)
        return listener

    def request(self, name: str, payload: bytes = PLAINTEXT) -> bytes:
        return GatewayStreamRequest(request_id=name, send_data=push_of(payload)).SerializeToString()

    def setUp(self) -> None:
        super().setUp()
        self.stream = FakeStream()
        verifyObject(IRpcStream, self.stream)
        self.listener = self.open(self.stream)

    def test_answers_carry_their_ids(self) -> None:
        self.listener.message_received(self.request("a"))
        self.target.reachable = False
        self.listener.message_received(self.request("b"))
        self.listener.message_received(self.request("a"))
        self.assertEqual(self.stream.answers(), [("a", True), ("b", False), ("a", False)])
        self.assertEqual(self.target.pushed, [(KEY_ID, SESSION_ID, PLAINTEXT)])

    def test_malformed(self) -> None:
        """The stream goes on: the others on it are nobody's fault."""
        self.listener.message_received(self.request("a", PLAINTEXT[:20]))
        self.listener.message_received(self.request("b"))
        self.assertEqual(self.stream.answers(), [("a", False), ("b", True)])
        self.assertEqual(self.counted(), {"malformed": 1, "delivered": 1})

    def test_nothing_in_it(self) -> None:
        self.listener.message_received(GatewayStreamRequest(request_id="a").SerializeToString())
        self.assertEqual(self.stream.answers(), [("a", False)])
        self.assertEqual(self.counted(), {"malformed": 1})

    def test_no_protobuf(self) -> None:
        self.listener.message_received(b"\xff\xff\xff")
        (status,) = self.stream.aborted
        assert status is not None
        self.assertEqual(status.code, StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.counted(), {"malformed": 1})

    def test_answers_wait_for_room(self) -> None:
        stream = FakeStream(room=2)
        listener = self.open(stream)
        for name in "abcd":
            listener.message_received(self.request(name))
        self.assertEqual([name for name, _ in stream.answers()], ["a", "b"])
        self.assertEqual(len(self.target.pushed), 4)
        stream.room = 3
        listener.stream_writable()
        listener.message_received(self.request("e"))
        stream.room = 5
        listener.stream_writable()
        self.assertEqual([name for name, _ in stream.answers()], ["a", "b", "c", "d", "e"])
        listener.message_received(self.request("f"))
        self.assertEqual(stream.aborted, [])

    def test_ends_behind_answers_that_wait(self) -> None:
        stream = FakeStream(room=1)
        listener = self.open(stream)
        listener.message_received(self.request("a"))
        listener.message_received(self.request("b"))
        listener.peer_finished()
        self.assertEqual(stream.closed, 0)
        stream.room = 2
        listener.stream_writable()
        self.assertEqual(len(stream.sent), 2)
        self.assertEqual(stream.closed, 1)

    def test_answers_that_are_not_read(self) -> None:
        self.server.max_waiting_answers = 3
        stream = FakeStream(room=1)
        listener = self.open(stream)
        for name in "abcd":
            listener.message_received(self.request(name))
        self.assertEqual(stream.aborted, [])
        listener.message_received(self.request("e"))
        [status] = stream.aborted
        assert status is not None
        self.assertEqual(status.code, StatusCode.RESOURCE_EXHAUSTED)
        self.assertEqual(self.counted(), {"delivered": 5})

    def test_answers_of_all_streams_that_are_not_read(self) -> None:
        """The stream with most gives way, and what it had is counted no more."""
        self.server.max_waiting_in_all = 5
        greedy, modest = FakeStream(room=1), FakeStream(room=1)
        much, little = self.open(greedy), self.open(modest)
        for name in "abcde":
            much.message_received(self.request(name))
        little.message_received(self.request("a"))
        little.message_received(self.request("b"))
        self.assertEqual(greedy.aborted, [])
        little.message_received(self.request("c"))
        self.assertEqual(len(greedy.aborted), 1)
        for name in "def":
            little.message_received(self.request(name))
        self.assertEqual(modest.aborted, [])
        modest.room = 99
        little.stream_writable()
        self.assertEqual(len(modest.sent), 6)
        self.assertEqual(self.server._unsent_in_all, 0)

    def test_push_behind_the_end(self) -> None:
        self.stream.over = True
        self.listener.message_received(self.request("a"))
        self.assertEqual(len(self.target.pushed), 1)
        self.assertEqual(self.stream.aborted, [])

    def test_ends_as_the_node_does(self) -> None:
        self.listener.peer_finished()
        self.assertEqual(self.stream.closed, 1)

    def test_closed_with_the_server(self) -> None:
        gone, stays = FakeStream(), FakeStream()
        self.open(gone).stream_closed(None)
        self.open(stays)
        self.server.close()
        self.assertEqual((gone.closed, stays.closed, self.stream.closed), (0, 1, 1))
