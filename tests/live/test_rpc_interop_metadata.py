"""gRPC's interop case custom_metadata: fields of the caller's own, and of the server's, both ways.

Nobody in the gateway has a use for such of single calls, so the seam has no place for them; the
connections below it carry them all the same.
"""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any, cast

from gnetway.http2.client import request_fields
from gnetway.http2.connection import Connection
from gnetway.http2.heads import Field, encode_field
from gnetway.http2.stream import Event, MessagesReceived, PeerFinished, Stream, StreamOpened
from gnetway.rpc.calls import IRpcClient
from tests.http2.wire import block
from tests.live.interop_go import GoServerCase, InteropCase
from tests.live.interop_http2 import Http2Case, Http2Server, PlayedCase
from tests.live.interop_messages import OutputRequest, OutputResponse, SimpleRequest
from tests.live.interop_service import SERVICE
from tests.rpc.peers import Recorder

_INITIAL = b"x-grpc-test-echo-initial"
_TRAILING = b"x-grpc-test-echo-trailing-bin"


def watched(core: Connection) -> list[list[Field]]:
    """Return a list that gets the fields of every block that the connection decodes from now on."""
    decoder = cast("Any", core.blocks._decoder)
    decode = decoder.decode
    seen: list[list[Field]] = []

    def remember(encoded: bytes, raw: bool = False) -> Iterable[Field]:
        fields = [(bytes(name), bytes(value)) for name, value in decode(encoded, raw=raw)]
        seen.append(fields)
        return fields

    decoder.decode = remember
    return seen


class Echo(Http2Case):
    """Sends the two fields of a caller back, before and behind its answer."""

    def __init__(self, factory: Http2Server) -> None:
        super().__init__(factory)
        self._seen = watched(self.server.core)

    def event(self, event: Event) -> None:
        if isinstance(event, StreamOpened):
            self._begin(event.stream)
        elif isinstance(event, MessagesReceived):
            for message in event.messages:
                for wanted in OutputRequest.FromString(message).response_parameters:
                    body = OutputResponse(payload={"body": bytes(wanted.size)})
                    self.server.core.sender.send(event.stream, body.SerializeToString())
        elif isinstance(event, PeerFinished):
            self._end(event.stream)
        super().event(event)

    def answer(self, stream: Stream, reply: bytes) -> None:
        self._begin(stream)
        self.server.core.sender.send(stream, reply)
        self._end(stream)

    def _begin(self, stream: Stream) -> None:
        head = [(b":status", b"200"), (b"content-type", b"application/grpc")]
        stream.headed = True
        fields = block(head + self._asked(_INITIAL))
        self.server.core.sender.send_fields(stream, fields, end_stream=False)

    def _end(self, stream: Stream) -> None:
        trailers = [(b"grpc-status", b"0"), *self._asked(_TRAILING)]
        self.server.core.sender.finish(stream, block(trailers))

    def _asked(self, name: bytes) -> list[Field]:
        return [field for field in self._seen[-1] if field[0] == name]


class GoCallsTests(PlayedCase, InteropCase):
    program_name = "client"

    async def test_custom_metadata(self) -> None:
        """grpc-go's client finds its fields in what our connections sent."""
        _, peer = self.play(Echo)
        await self.call_by_go(peer, "custom_metadata")


class GoServesTests(GoServerCase):
    def send_along(
        self, client: IRpcClient, method: str, timeout: float, value: bytes
    ) -> tuple[Field, Field]:
        """Have the client's requests of that kind carry both fields, and return these."""
        initial, trailing = (_INITIAL, value), (_TRAILING, b64encode(value))
        fields = request_fields(SERVICE + method, client.peer, timeout_seconds=timeout)
        fields += encode_field(*initial) + encode_field(*trailing)
        cast("Any", client)._dialer._blocks[SERVICE + method, timeout, ()] = fields
        return initial, trailing

    async def test_custom_metadata(self) -> None:
        """Our connection gets them back from grpc-go's server, by a call and by a stream.

        With values of their own, as blocks that have come before are not decoded again.
        """
        client = await self.start()
        seen = watched(cast("Any", client)._dialer._current.http2.core)
        sent = self.send_along(client, "UnaryCall", 5, b"a call")
        await client.unary(SERVICE + "UnaryCall", SimpleRequest().SerializeToString(), 5)
        self._assert_echoed(sent, seen)
        sent = self.send_along(client, "FullDuplexCall", 0.0, b"stream")
        listener = Recorder()
        stream = client.stream(SERVICE + "FullDuplexCall", listener)
        wanted = OutputRequest(response_parameters=[{"size": 1}])
        stream.send(wanted.SerializeToString())
        stream.close()
        self.assertIsNone(await listener.closed)
        self.assertEqual(len(listener.messages), 1)
        self._assert_echoed(sent, seen)

    def _assert_echoed(self, sent: tuple[Field, Field], seen: list[list[Field]]) -> None:
        """The last two blocks brought them, each in its place."""
        for field, fields in zip(sent, seen[-2:], strict=True):
            self.assertIn(field, fields)
