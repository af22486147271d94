"""A stream of a session node, and a push of it."""

from zope.interface import implementer

from gnetway.mtproto.message import pack_message
from gnetway.pb.gateway_pb2 import GatewayStreamResponse, TL_gateway_sendDataToGateway
from gnetway.rpc.calls import IRpcStream
from gnetway.rpc.status import RpcStatus, StreamClosed, StreamFull

KEY_ID, SESSION_ID = -5, 77
PLAINTEXT = pack_message(1, SESSION_ID, 9, 1, bytes(8))


@implementer(IRpcStream)
class FakeStream:
    """Takes ``room`` messages, then is full; ``over`` after its end."""

    unsent_bytes = unsent_messages = untouched_messages = 0

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.sent: list[bytes] = []
        self.closed = 0
        self.over = False
        self.aborted: list[RpcStatus | None] = []

    def send(self, message: bytes) -> None:
        if self.over:
            raise StreamClosed("over")
        if len(self.sent) >= self.room:
            raise StreamFull("full")
        self.sent.append(message)

    def close(self) -> None:
        self.closed += 1

    def abort(self, status: RpcStatus | None = None) -> None:
        self.aborted.append(status)

    def answers(self) -> list[tuple[str, bool]]:
        parsed = [GatewayStreamResponse.FromString(message) for message in self.sent]
        return [(answer.request_id, answer.success) for answer in parsed]


def push_of(payload: bytes = PLAINTEXT) -> TL_gateway_sendDataToGateway:
    return TL_gateway_sendDataToGateway(auth_key_id=KEY_ID, session_id=SESSION_ID, payload=payload)
