"""A session service of our own, over grpcio: it does as it is told and remembers what it heard.

``SessionService`` is what its nodes share, as a real one's database is: keys, and one journal in
the order of arrival over all nodes. ``SessionNode`` is one address of it, that can go and come.
"""

from collections.abc import Callable
from pathlib import Path
from struct import pack, unpack_from
from threading import Lock
from typing import NamedTuple

import grpc

from gnetway.crypto.auth_key import AuthKey
from gnetway.mtproto.message import MessageIdSource, pack_message
from gnetway.pb import session_pb2
from gnetway.tl.primitives import Constructor, Reader, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    MsgsAck,
    Ping,
    Pong,
    RpcErrorObject,
    RpcResult,
    pack_container,
    parse_container,
)
from tests.live.client import constructor_of, now
from tests.live.cluster.credentials import of_server
from tests.live.cluster.gateway_link import GatewayLink
from tests.live.handler import PRODUCE, cdn_file, pattern
from tests.live.rpc_node import Fault, RpcNode, accepted, pack_key

_DESTROYED = pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)


class Told(NamedTuple):
    """One request as a node heard it; the last three are of data alone."""

    node: str
    method: str
    by_stream: bool
    auth_key_id: int
    session_id: int = 0
    conn_type: int = 0
    msg_id: int = 0
    body: bytes = b""

    @property
    def session(self) -> tuple[int, int]:
        return self.auth_key_id, self.session_id


class Refusal(Fault):
    """What a node answers instead, with a status beyond gRPC's own 16."""

    def __init__(self, code: int, text: str) -> None:
        # As the real one: on a stream all but a redirect is a 500 with its text.
        super().__init__(code, text, stream_code=code if code == 700 else 500)


def accept(told: Told) -> None:
    """Let a node do its work."""


class SessionService:
    """What the nodes share.

    ``verdict`` is asked about each request, after it was noted: it may raise a Refusal, or wait.
    Pings are answered by calls to the gateway, or by a stream, whatever way they came. With a
    folder of ``certificates`` everything goes by TLS.
    """

    def __init__(self, reply_by_stream: bool = False, certificates: Path | None = None) -> None:
        self.certificates = certificates
        self.told: list[Told] = []
        self.verdict: Callable[[Told], None] = accept
        self.keys: dict[int, bytes] = {}
        self.links: dict[str, GatewayLink] = {}
        self._reply_by_stream = reply_by_stream
        self._lock = Lock()
        self._ids = MessageIdSource()
        #: By session, how many content-related messages were said to it over HTTP.
        self._contents: dict[tuple[int, int], int] = {}

    def know(self, key: AuthKey) -> None:
        """Keep a key as if it had been made before."""
        self.keys[key.auth_key_id] = pack_key(key)

    def heard(self, method: str, node: str | None = None) -> list[Told]:
        """Return what was heard of one method, in order of arrival; by one node if named."""
        return [
            told for told in list(self.told) if told.method == method and node in (None, told.node)
        ]

    def note(self, told: Told) -> None:
        with self._lock:
            self.told.append(told)
        self.verdict(told)

    def answer(self, data: session_pb2.SessionClientData, told: Told) -> None:
        """Send a pong for a ping, destroy_auth_key_ok where it is asked for, else msgs_ack.

        The key stays all the same, as it does at Teamgram's.
        """
        if constructor_of(told.body) == Constructor.PING:
            answer = Pong(told.msg_id, Ping.parse(told.body).ping_id).pack()
        elif constructor_of(told.body) == Constructor.DESTROY_AUTH_KEY:
            answer = RpcResult(told.msg_id, _DESTROYED).pack()
        else:
            answer = MsgsAck([told.msg_id]).pack()
        self.push(data.server_id, data.auth_key_id, data.session_id, data.salt, answer)

    def answer_http(self, data: session_pb2.SessionClientData, told: Told) -> bytes:
        """Return one plaintext with all answers, in the order of the calls; empty for none.

        PRODUCE is answered as the test handler does it, any other call by an error.
        """
        bodies = []
        for msg_id, call in _messages(told):
            if constructor_of(call) == PRODUCE:
                result = cdn_file(pattern(Reader(call, 4).uint32()))
            elif constructor_of(call) in (Constructor.MSGS_ACK, Constructor.HTTP_WAIT):
                continue
            else:
                result = RpcErrorObject(400, "OOPS").pack()
            bodies.append(RpcResult(msg_id, result).pack())
        if not bodies:
            return b""
        with self._lock:
            first = self._contents.get(told.session, 0)
            self._contents[told.session] = first + len(bodies)
            answers = [
                ContainedMessage(self._ids.next_id(now(), True), 2 * (first + number) + 1, body)
                for number, body in enumerate(bodies)
            ]
            outer = ContainedMessage(
                self._ids.next_id(now(), False), 2 * (first + len(bodies)), pack_container(answers)
            )
        said = outer if len(answers) > 1 else answers[0]
        return pack_message(data.salt, told.session_id, *said)

    def push(self, gateway: str, auth_key_id: int, session_id: int, salt: int, body: bytes) -> None:
        with self._lock:
            msg_id = self._ids.next_id(now(), response=True)
            link = self.links.get(gateway)
            if link is None:
                link = self.links[gateway] = GatewayLink(
                    gateway, self._reply_by_stream, self.certificates
                )
        head = pack("<qqqii", salt, session_id, msg_id, 1, len(body))
        link.push(auth_key_id, session_id, head + body)

    def close(self) -> None:
        for link in self.links.values():
            link.close()


class SessionNode(RpcNode):
    """One node of it."""

    def __init__(self, service: SessionService) -> None:
        super().__init__()
        self._service = service

    def credentials(self) -> grpc.ServerCredentials | None:
        certificates = self._service.certificates
        return None if certificates is None else of_server(certificates)

    # -- the methods ---------------------------------------------------------------------------

    def query(self, raw: bytes, by_stream: bool) -> bytes:
        request = session_pb2.TL_session_queryAuthKey.FromString(raw)
        self._note("query", by_stream, request.auth_key_id)
        key = self._service.keys.get(request.auth_key_id)
        if key is None:
            raise Refusal(401, "AUTH_KEY_UNREGISTERED")
        return key

    def set(self, raw: bytes, by_stream: bool) -> bytes:
        info = session_pb2.TL_session_setAuthKey.FromString(raw).auth_key
        self._note("set", by_stream, info.auth_key_id)
        self._service.keys[info.auth_key_id] = info.SerializeToString()
        return accepted()

    def create(self, raw: bytes, by_stream: bool) -> bytes:
        client = session_pb2.TL_session_createSession.FromString(raw).client
        self._note("create", by_stream, client.auth_key_id, client.session_id, client.conn_type)
        return accepted()

    def close(self, raw: bytes, by_stream: bool) -> bytes:
        client = session_pb2.TL_session_closeSession.FromString(raw).client
        self._note("close", by_stream, client.auth_key_id, client.session_id, client.conn_type)
        return accepted()

    def data(self, raw: bytes, by_stream: bool) -> bytes:
        data = session_pb2.TL_session_sendDataToSession.FromString(raw).data
        told = self._note_data("data", by_stream, data)
        self._service.answer(data, told)
        return accepted()

    def http(self, raw: bytes, by_stream: bool) -> bytes:
        data = session_pb2.TL_session_sendHttpDataToSession.FromString(raw).client
        told = self._note_data("http", by_stream, data)
        answer = session_pb2.HttpSessionData(
            constructor=session_pb2.HTTP_SESSION_DATA,
            payload=self._service.answer_http(data, told),
        )
        packed: bytes = answer.SerializeToString()
        return packed

    def _note_data(self, method: str, by_stream: bool, data: session_pb2.SessionClientData) -> Told:
        msg_id, _, length = unpack_from("<qii", data.payload)
        told = Told(
            self.address,
            method,
            by_stream,
            data.auth_key_id,
            data.session_id,
            data.conn_type,
            msg_id,
            data.payload[16 : 16 + length],
        )
        self._service.note(told)
        return told

    def _note(
        self,
        method: str,
        by_stream: bool,
        auth_key_id: int,
        session_id: int = 0,
        conn_type: int = 0,
    ) -> None:
        told = Told(self.address, method, by_stream, auth_key_id, session_id, conn_type)
        self._service.note(told)


def _messages(told: Told) -> list[tuple[int, bytes]]:
    if constructor_of(told.body) != Constructor.MSG_CONTAINER:
        return [(told.msg_id, told.body)]
    return [(message.msg_id, message.body) for message in parse_container(told.body, 1024)]
