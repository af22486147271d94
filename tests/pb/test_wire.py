"""Each message's bytes, encoded here by hand from the contract's field numbers and types."""

from google.protobuf.descriptor import (
    FileDescriptor,
    MethodDescriptor,
)
from google.protobuf.message import DecodeError, Message
from twisted.trial.unittest import SynchronousTestCase

from gnetway.pb import gateway_pb2, mtproto_pb2, session_pb2

PERM = -0x0123456789ABCDEF
KEY = bytes(range(256))


def varint(value: int) -> bytes:
    """Encode as 64 bits, two's complement: a negative number always takes ten bytes."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


CLIENT = (
    data(3, b"10.0.0.9:20120")
    + number(4, 1)
    + number(5, -2)
    + number(6, 2)
    + number(7, PERM)
    + number(8, 7)
    + data(9, b"192.0.2.1")
)
EVENT_WIRE = data(1, b"sessionClientEvent") + number(2, -243320993) + CLIENT
DATA_WIRE = (
    data(1, b"sessionClientData")
    + number(2, 1101139022)
    + CLIENT
    + number(10, 1)
    + number(11, -9)
    + data(12, b"\x00\xff\x01")
)
KEY_INFO_WIRE = (
    data(1, b"authKeyInfo")
    + number(2, -856756288)
    + number(3, PERM)
    + data(4, KEY)
    + number(5, 2)
    + number(6, 11)
    + number(7, -12)
    + number(8, 13)
)
SALT_WIRE = (
    data(1, b"futureSalt")
    + number(2, 155834844)
    + number(3, 1_790_000_000)
    + number(4, 1_790_001_800)
    + number(5, -5)
)
QUERY_WIRE = number(1, 1798174801) + number(3, -1)
SET_WIRE = number(1, 487672075) + data(3, KEY_INFO_WIRE) + data(4, SALT_WIRE) + number(5, 86400)
CREATE_WIRE = number(1, 1091351053) + data(3, EVENT_WIRE)
SEND_WIRE = number(1, -2023019028) + data(3, DATA_WIRE)
CLOSE_WIRE = number(1, 393200211) + data(3, EVENT_WIRE)
PUSH_WIRE = number(1, 645953552) + number(3, -1) + number(4, PERM) + data(5, b"\x00plain")

EVENT = session_pb2.SessionClientEvent(
    predicate_name="sessionClientEvent",
    constructor=session_pb2.SESSION_CLIENT_EVENT,
    server_id="10.0.0.9:20120",
    conn_type=1,
    auth_key_id=-2,
    key_type=2,
    perm_auth_key_id=PERM,
    session_id=7,
    client_ip="192.0.2.1",
)
DATA = session_pb2.SessionClientData(
    predicate_name="sessionClientData",
    constructor=session_pb2.SESSION_CLIENT_DATA,
    server_id="10.0.0.9:20120",
    conn_type=1,
    auth_key_id=-2,
    key_type=2,
    perm_auth_key_id=PERM,
    session_id=7,
    client_ip="192.0.2.1",
    quick_ack=1,
    salt=-9,
    payload=b"\x00\xff\x01",
)
KEY_INFO = mtproto_pb2.AuthKeyInfo(
    predicate_name="authKeyInfo",
    constructor=mtproto_pb2.AUTH_KEY_INFO,
    auth_key_id=PERM,
    auth_key=KEY,
    auth_key_type=2,
    perm_auth_key_id=11,
    temp_auth_key_id=-12,
    media_temp_auth_key_id=13,
)
SALT = mtproto_pb2.FutureSalt(
    predicate_name="futureSalt",
    constructor=mtproto_pb2.FUTURE_SALT,
    valid_since=1_790_000_000,
    valid_until=1_790_001_800,
    salt=-5,
)
QUERY = session_pb2.TL_session_queryAuthKey(constructor=session_pb2.QUERY_AUTH_KEY, auth_key_id=-1)
SET = session_pb2.TL_session_setAuthKey(
    constructor=session_pb2.SET_AUTH_KEY, auth_key=KEY_INFO, future_salt=SALT, expires_in=86400
)
CREATE = session_pb2.TL_session_createSession(constructor=session_pb2.CREATE_SESSION, client=EVENT)
SEND = session_pb2.TL_session_sendDataToSession(
    constructor=session_pb2.SEND_DATA_TO_SESSION, data=DATA
)
CLOSE = session_pb2.TL_session_closeSession(constructor=session_pb2.CLOSE_SESSION, client=EVENT)
PUSH = gateway_pb2.TL_gateway_sendDataToGateway(
    constructor=gateway_pb2.SEND_DATA_TO_GATEWAY,
    auth_key_id=-1,
    session_id=PERM,
    payload=b"\x00plain",
)
Request = session_pb2.SessionStreamRequest
Response = session_pb2.SessionStreamResponse

VECTORS: list[tuple[Message, bytes]] = [
    (
        mtproto_pb2.Bool(predicate_name="boolTrue", constructor=mtproto_pb2.BOOL_TRUE),
        data(1, b"boolTrue") + number(2, -1720552011),
    ),
    (
        mtproto_pb2.Bool(predicate_name="boolFalse", constructor=mtproto_pb2.BOOL_FALSE),
        data(1, b"boolFalse") + number(2, -1132882121),
    ),
    (KEY_INFO, KEY_INFO_WIRE),
    (SALT, SALT_WIRE),
    (EVENT, EVENT_WIRE),
    (DATA, DATA_WIRE),
    (
        session_pb2.HttpSessionData(
            predicate_name="httpSessionData",
            constructor=session_pb2.HTTP_SESSION_DATA,
            payload=b"\xff",
        ),
        data(1, b"httpSessionData") + number(2, -606579889) + data(3, b"\xff"),
    ),
    (QUERY, QUERY_WIRE),
    (SET, SET_WIRE),
    (CREATE, CREATE_WIRE),
    (SEND, SEND_WIRE),
    (
        session_pb2.TL_session_sendHttpDataToSession(
            constructor=session_pb2.SEND_HTTP_DATA_TO_SESSION, client=DATA
        ),
        number(1, -1142152274) + data(3, DATA_WIRE),
    ),
    (CLOSE, CLOSE_WIRE),
    (Request(request_id="1", send_data=SEND), data(1, b"1") + data(10, SEND_WIRE)),
    (Request(request_id="2", create_session=CREATE), data(1, b"2") + data(11, CREATE_WIRE)),
    (Request(request_id="3", close_session=CLOSE), data(1, b"3") + data(12, CLOSE_WIRE)),
    (Request(request_id="4", query_auth_key=QUERY), data(1, b"4") + data(13, QUERY_WIRE)),
    (Request(request_id="5", set_auth_key=SET), data(1, b"5") + data(14, SET_WIRE)),
    (session_pb2.SessionStreamAck(success=True), number(1, 1)),
    (
        session_pb2.SessionStreamError(code=700, message="REDIRECT_TO_10.0.0.1:20120"),
        number(1, 700) + data(2, b"REDIRECT_TO_10.0.0.1:20120"),
    ),
    (
        Response(request_id="1", ack=session_pb2.SessionStreamAck(success=True)),
        data(1, b"1") + data(10, number(1, 1)),
    ),
    (
        Response(request_id="1", ack=session_pb2.SessionStreamAck()),  # false is there, empty
        data(1, b"1") + data(10, b""),
    ),
    (
        Response(request_id="2", error=session_pb2.SessionStreamError(code=401)),
        data(1, b"2") + data(11, number(1, 401)),
    ),
    (Response(request_id="3", auth_key=KEY_INFO), data(1, b"3") + data(12, KEY_INFO_WIRE)),
    (PUSH, PUSH_WIRE),
    (
        gateway_pb2.GatewayStreamRequest(request_id="9", send_data=PUSH),
        data(1, b"9") + data(10, PUSH_WIRE),
    ),
    (
        gateway_pb2.GatewayStreamResponse(request_id="9", success=True),
        data(1, b"9") + number(2, 1),
    ),
]


class WireTests(SynchronousTestCase):
    def test_both_ways(self) -> None:
        for message, wire in VECTORS:
            self.assertEqual(message.SerializeToString().hex(), wire.hex(), type(message).__name__)
            self.assertEqual(type(message).FromString(wire), message)

    def test_every_message_has_a_vector(self) -> None:
        defined = {
            full_name
            for module in (mtproto_pb2, session_pb2, gateway_pb2)
            for full_name in _message_names(module.DESCRIPTOR)
        }
        self.assertEqual({message.DESCRIPTOR.full_name for message, _ in VECTORS}, defined)

    def test_literals(self) -> None:
        """Bytes written down without any encoder."""
        true = mtproto_pb2.Bool.FromString(
            bytes.fromhex("0a08 626f6f6c54727565 10 b5ebc9cbf9ffffffff01")
        )
        self.assertEqual((true.predicate_name, true.constructor), ("boolTrue", -1720552011))
        self.assertEqual(QUERY.SerializeToString().hex(), "08d1f0b7d906" + "18" + "ff" * 9 + "01")

    def test_zero_and_unknown_constructors(self) -> None:
        """A peer may leave the constructor out, or send one made after these definitions."""
        self.assertEqual(mtproto_pb2.Bool.FromString(b"").constructor, 0)
        later = mtproto_pb2.Bool.FromString(number(2, 123456))
        self.assertEqual(later.constructor, 123456)

    def test_unknown_fields(self) -> None:
        """Fields of a newer service do no harm."""
        wire = QUERY_WIRE + data(2000, b"new")
        self.assertEqual(session_pb2.TL_session_queryAuthKey.FromString(wire).auth_key_id, -1)

    def test_torn(self) -> None:
        for message, wire in VECTORS:
            with self.assertRaises(DecodeError):
                type(message).FromString(wire + b"\x0a\x7f")

    def test_one_payload(self) -> None:
        """The stream's payload is a oneof: the last one stands."""
        both = Request.FromString(data(10, SEND_WIRE) + data(13, QUERY_WIRE))
        self.assertEqual(both.WhichOneof("payload"), "query_auth_key")


class ServiceTests(SynchronousTestCase):
    def test_unary(self) -> None:
        self.assertEqual(
            _methods(session_pb2.DESCRIPTOR)["session.RPCSession"],
            [
                "session_queryAuthKey(session.TL_session_queryAuthKey)mtproto.AuthKeyInfo",
                "session_setAuthKey(session.TL_session_setAuthKey)mtproto.Bool",
                "session_createSession(session.TL_session_createSession)mtproto.Bool",
                "session_sendDataToSession(session.TL_session_sendDataToSession)mtproto.Bool",
                (
                    "session_sendHttpDataToSession(session.TL_session_sendHttpDataToSession)"
                    "session.HttpSessionData"
                ),
                "session_closeSession(session.TL_session_closeSession)mtproto.Bool",
            ],
        )
        self.assertEqual(
            _methods(gateway_pb2.DESCRIPTOR)["gateway.RPCGateway"],
            ["gateway_sendDataToGateway(gateway.TL_gateway_sendDataToGateway)mtproto.Bool"],
        )

    def test_streams(self) -> None:
        self.assertEqual(
            _methods(session_pb2.DESCRIPTOR)["session.RPCSessionStream"],
            [
                (
                    "SessionDataStream(stream session.SessionStreamRequest)"
                    "stream session.SessionStreamResponse"
                )
            ],
        )
        self.assertEqual(
            _methods(gateway_pb2.DESCRIPTOR)["gateway.RPCGatewayStream"],
            [
                (
                    "GatewayDataStream(stream gateway.GatewayStreamRequest)"
                    "stream gateway.GatewayStreamResponse"
                )
            ],
        )


def _message_names(file: FileDescriptor) -> list[str]:
    return [message.full_name for message in file.message_types_by_name.values()]


def _methods(file: FileDescriptor) -> dict[str, list[str]]:
    return {
        service.full_name: [_signature(method) for method in service.methods]
        for service in file.services_by_name.values()
    }


def _signature(method: MethodDescriptor) -> str:
    taken = "stream " * method.client_streaming + method.input_type.full_name
    given = "stream " * method.server_streaming + method.output_type.full_name
    return f"{method.name}({taken}){given}"
