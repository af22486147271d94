"""Renewals and watches on one connection to etcd, whose answers are given by hand."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from gnetway.discovery.etcd_supervisor import (
    Deleted,
    Entry,
    LeaseLost,
    NotAllowed,
)
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.discovery.connection_case import HOST, ConnectionCase
from tests.discovery.fake_carrier import FakeStream


class KeepAliveTests(ConnectionCase):
    def renewing(self) -> tuple[Deferred[None], FakeStream]:
        answer = self.opened().keep_alive(99)
        request = self.rpc.LeaseKeepAliveRequest(ID=99)
        return answer, self.opened_stream("Lease/LeaseKeepAlive", request)

    def respond(self, stream: FakeStream, ttl: int) -> None:
        response = self.rpc.LeaseKeepAliveResponse(ID=99, TTL=ttl)
        stream.listener.message_received(response.SerializeToString())

    def test_renewed(self) -> None:
        answer, stream = self.renewing()
        self.assertFalse(stream.closed)
        self.respond(stream, 10)
        self.assertIsNone(self.successResultOf(answer))
        self.assertEqual((stream.closed, stream.aborted), (True, False))
        self.respond(stream, 10)
        stream.end(None)
        self.clock.advance(5)

    def test_expired(self) -> None:
        answer, stream = self.renewing()
        self.respond(stream, 0)
        self.text(answer, LeaseLost)
        self.assertTrue(stream.aborted)

    def test_no_answer(self) -> None:
        answer, stream = self.renewing()
        self.clock.advance(2.9)
        self.assertNoResult(answer)
        self.clock.advance(0.2)
        self.assertEqual(self.text(answer), f"{HOST}: no answer to a renewal")
        self.assertTrue(stream.aborted)

    def test_ended(self) -> None:
        for error in (None, RpcStatus(StatusCode.UNAVAILABLE, "gone")):
            answer, stream = self.renewing()
            stream.end(error)
            self.assertIn("14 UNAVAILABLE", self.text(answer))


class WatchTests(ConnectionCase):
    def setUp(self) -> None:
        super().setUp()
        self.connected = self.opened()
        self.seen: list[list[Entry | Deleted]] = []
        self.answer = self.connected.watch("p/", 8, self.seen.append)
        request = self.rpc.WatchRequest()
        request.create_request.key = b"p/"
        request.create_request.range_end = b"p0"
        request.create_request.start_revision = 8
        self.stream = self.opened_stream("Watch/Watch", request)

    def respond(self, response: Any) -> None:
        self.stream.listener.message_received(response.SerializeToString())

    def test_changes(self) -> None:
        self.respond(self.rpc.WatchResponse(created=True))
        self.respond(self.change(deleted=False))
        self.respond(self.change(deleted=True))
        self.assertEqual(self.seen, [[Entry("p/1", "a:1", 9)], [Deleted("p/1")]])
        self.assertNoResult(self.answer)
        self.assertFalse(self.stream.closed)

    def change(self, *, deleted: bool) -> Any:
        response = self.rpc.WatchResponse()
        event = response.events.add(type=1 if deleted else 0)
        event.kv.key = b"p/1"
        if not deleted:
            event.kv.value, event.kv.create_revision = b"a:1", 9
        return response

    def test_compacted(self) -> None:
        self.respond(self.rpc.WatchResponse(canceled=True, compact_revision=42))
        self.assertIn("revision 42", self.text(self.answer))
        self.assertTrue(self.stream.aborted)

    def test_ended_by_etcd(self) -> None:
        self.respond(self.rpc.WatchResponse(canceled=True, cancel_reason="no leader"))
        self.assertIn("no leader", self.text(self.answer))

    def test_refused(self) -> None:
        """A watch's end has no status, only words."""
        reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
        self.respond(self.rpc.WatchResponse(created=True, canceled=True, cancel_reason=reason))
        self.text(self.answer, NotAllowed)

    def test_one_key(self) -> None:
        seen: list[list[Entry | Deleted]] = []
        self.connected.watch("p/1", 9, seen.append)
        request = self.rpc.WatchRequest()
        request.create_request.key = b"p/1"
        request.create_request.start_revision = 9
        self.stream = self.opened_stream("Watch/Watch", request)
        response = self.rpc.WatchResponse()
        pair = response.events.add(type=0).kv
        pair.key, pair.value, pair.create_revision, pair.lease = b"p/1", b"x:1", 9, 7
        self.respond(response)
        self.assertEqual(seen, [[Entry("p/1", "x:1", 9, 7)]])

    def test_ended_without_reason(self) -> None:
        self.respond(self.rpc.WatchResponse(canceled=True))
        self.assertIn("no reason given", self.text(self.answer))

    def test_connection_lost(self) -> None:
        self.stream.end(RpcStatus(StatusCode.UNAVAILABLE, "gone"))
        self.assertEqual(self.text(self.answer), f"{HOST}: 14 UNAVAILABLE: gone")

    def test_closed(self) -> None:
        """Nothing is heard behind that."""
        self.connected.close()
        self.text(self.answer)
        self.respond(self.change(deleted=False))
        self.assertEqual(self.seen, [])

    def test_cancelled(self) -> None:
        self.answer.cancel()
        self.failureResultOf(self.answer, CancelledError)
        self.assertTrue(self.stream.aborted)
        self.stream.end(RpcStatus(StatusCode.CANCELLED, "aborted"))
