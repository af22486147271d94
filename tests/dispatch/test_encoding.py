"""Requests by hand are what protobuf would write."""

from hypothesis import given
from hypothesis.strategies import binary, booleans, integers, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import KeyKind
from gnetway.dispatch.encoding import (
    client_head,
    data_lead,
    data_request,
    event_request,
    http_request,
    query_request,
    set_request,
    stream_ack,
    stream_request,
)
from gnetway.interfaces import FutureSalt, SessionClient
from gnetway.pb import session_pb2
from gnetway.rpc.status import Method
from tests.backends.remote.fakes import key_info
from tests.fakes import some_key

SERVER = "10.0.0.9:20110"
ids = integers(-(2**63), 2**63 - 1)


def client_of(number: int, session_id: int, ip: str, kind: KeyKind, perm: int) -> SessionClient:
    key = some_key(number, kind)
    if kind is not KeyKind.PERM:
        key.perm_auth_key_id = perm
    return SessionClient(key, session_id, ip)


def expected_data(
    client: SessionClient, conn_type: int, quick_ack: bool, salt: int, payload: bytes
) -> session_pb2.SessionClientData:
    return session_pb2.SessionClientData(
        constructor=session_pb2.SESSION_CLIENT_DATA,
        server_id=SERVER,
        conn_type=conn_type,
        auth_key_id=client.key.auth_key_id,
        key_type=int(client.key.kind),
        perm_auth_key_id=client.key.perm_auth_key_id,
        session_id=client.session_id,
        client_ip=client.client_ip,
        quick_ack=int(quick_ack),
        salt=salt,
        payload=payload,
    )


class DataTests(SynchronousTestCase):
    @given(
        number=integers(0, 50),
        session_id=ids,
        kind=sampled_from(list(KeyKind)),
        perm=ids,
        salt=ids,
        first=booleans(),
        quick_ack=booleans(),
        payload=binary(max_size=300),
    )
    def test_as_protobuf(
        self,
        number: int,
        session_id: int,
        kind: KeyKind,
        perm: int,
        salt: int,
        first: bool,
        quick_ack: bool,
        payload: bytes,
    ) -> None:
        client = client_of(number, session_id, "2001:db8::1", kind, perm)
        head = client_head(SERVER, client, client.key.perm_auth_key_id)
        made = data_request(data_lead(head, salt), first, quick_ack, payload)
        expected = session_pb2.TL_session_sendDataToSession(
            constructor=session_pb2.SEND_DATA_TO_SESSION,
            data=expected_data(client, int(first), quick_ack, salt, payload),
        )
        self.assertEqual(session_pb2.TL_session_sendDataToSession.FromString(made), expected)
        made = http_request(head, salt, payload)
        http = session_pb2.TL_session_sendHttpDataToSession(
            constructor=session_pb2.SEND_HTTP_DATA_TO_SESSION,
            client=expected_data(client, 2, False, salt, payload),
        )
        self.assertEqual(session_pb2.TL_session_sendHttpDataToSession.FromString(made), http)

    def test_large(self) -> None:
        client = client_of(1, -1, "192.0.2.1", KeyKind.PERM, 0)
        payload = bytes(range(256)) * (16 << 12)
        made = data_request(
            data_lead(client_head(SERVER, client, client.key.perm_auth_key_id), 0),
            True,
            False,
            payload,
        )
        data = session_pb2.TL_session_sendDataToSession.FromString(made).data
        self.assertEqual(data, expected_data(client, 1, False, 0, payload))

    def test_bytes_of_a_small_one(self) -> None:
        """By hand, field by field: 3 is data; 10 quick_ack, 4 conn_type, 11 salt -1, 12 payload."""
        made = data_request(data_lead(b"", -1), True, True, b"xy")
        constructor = b"\x08" + bytes.fromhex("ecdbacbbf8ffffffff01")
        data = b"\x50\x01\x20\x01\x58" + b"\xff" * 9 + b"\x01" + b"\x62\x02xy"
        self.assertEqual(made, constructor + b"\x1a" + bytes([len(data)]) + data)


class EventTests(SynchronousTestCase):
    @given(session_id=ids, kind=sampled_from(list(KeyKind)), perm=ids)
    def test_as_protobuf(self, session_id: int, kind: KeyKind, perm: int) -> None:
        client = client_of(3, session_id, "192.0.2.7", kind, perm)
        made = event_request(Method.CREATE_SESSION, SERVER, client, client.key.perm_auth_key_id)
        create = session_pb2.TL_session_createSession.FromString(made)
        made = event_request(Method.CLOSE_SESSION, SERVER, client, client.key.perm_auth_key_id)
        close = session_pb2.TL_session_closeSession.FromString(made)
        self.assertEqual((create.constructor, close.constructor), (1091351053, 393200211))
        self.assertEqual(create.client, close.client)
        event = create.client
        self.assertEqual(event.constructor, -243320993)
        self.assertEqual(
            (event.server_id, event.conn_type, event.auth_key_id, event.key_type),
            (SERVER, 0, client.key.auth_key_id, int(kind)),
        )
        self.assertEqual(
            (event.perm_auth_key_id, event.session_id, event.client_ip),
            (client.key.perm_auth_key_id, session_id, "192.0.2.7"),
        )

    def test_keys(self) -> None:
        query = session_pb2.TL_session_queryAuthKey.FromString(query_request(-5))
        self.assertEqual((query.constructor, query.auth_key_id), (1798174801, -5))
        key = some_key(4, KeyKind.MEDIA_TEMP)
        made = set_request(key, FutureSalt(10, 20, -30), 86400)
        stored = session_pb2.TL_session_setAuthKey.FromString(made)
        self.assertEqual((stored.constructor, stored.expires_in), (487672075, 86400))
        self.assertEqual(stored.auth_key, key_info(key))
        salt = stored.future_salt
        self.assertEqual(
            (salt.constructor, salt.valid_since, salt.valid_until, salt.salt),
            (155834844, 10, 20, -30),
        )


class StreamRequestTests(SynchronousTestCase):
    def test_every_method(self) -> None:
        """The very bytes of the unary request, under the method's own field."""
        names = {
            Method.SEND_DATA: "send_data",
            Method.CREATE_SESSION: "create_session",
            Method.CLOSE_SESSION: "close_session",
            Method.QUERY_AUTH_KEY: "query_auth_key",
            Method.SET_AUTH_KEY: "set_auth_key",
        }
        for method, name in names.items():
            made = stream_request(b"99", method, query_request(1))
            request = session_pb2.SessionStreamRequest.FromString(made)
            self.assertEqual((request.request_id, request.WhichOneof("payload")), ("99", name))
            self.assertEqual(getattr(request, name).constructor, 1798174801)

    @given(request_id=text("0123456789", min_size=1, max_size=20))
    def test_ack(self, request_id: str) -> None:
        """What a service writes to accept a request, byte by byte."""
        response = session_pb2.SessionStreamResponse(
            request_id=request_id, ack=session_pb2.SessionStreamAck(success=True)
        )
        self.assertEqual(stream_ack(request_id.encode()), response.SerializeToString())

    def test_paths(self) -> None:
        service = session_pb2.DESCRIPTOR.services_by_name["RPCSession"]
        self.assertEqual(
            {method.path for method in Method},
            {f"/session.RPCSession/{method.name}" for method in service.methods},
        )
