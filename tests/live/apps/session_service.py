"""A session service that answers as Teamgram's does, over grpcio.

It says boolTrue to data as soon as they are queued; what comes of them is pushed to the gateway
later. Each node keeps one place for a perm_auth_key_id, with the session that spoke there last: an
answer for another one that has been pushed aside is dropped. It believes every bind, so whatever
keeps a forged one out is the gateway's own work.
"""

from collections import Counter
from collections.abc import Callable
from struct import pack, unpack_from
from threading import Lock, Timer
from typing import NamedTuple

import grpc

from gnetway.crypto.auth_key import AuthKey
from gnetway.mtproto.message import MessageIdSource
from gnetway.pb import session_pb2
from gnetway.tl.service_messages import ContainedMessage, pack_container
from tests.live.apps.answers import answer_to, messages_of
from tests.live.client import now
from tests.live.cluster.gateway_link import GatewayLink
from tests.live.rpc_node import Fault, RpcNode, accepted, pack_key

#: From a message to its answer: long enough for a crowd to push each other aside.
ANSWER_SECONDS = 0.05

Name = tuple[int, int]


class Heard(NamedTuple):
    """One request; ``kinds`` are the constructors of what data hold, wrappers taken off."""

    node: str
    method: str
    auth_key_id: int
    perm_auth_key_id: int = 0
    session_id: int = 0
    key_type: int = 0
    conn_type: int = 0
    kinds: tuple[int, ...] = ()

    @property
    def name(self) -> Name:
        return self.auth_key_id, self.session_id


def accept(heard: Heard) -> None:
    """Let a node do its work."""


class SessionService:
    """What the nodes share: keys, the journal, the links to gateways.

    ``verdict`` is asked about each request after it was noted, and may raise a Fault. ``counts``
    has "dropped" answers, and "closes refused" of sessions that the node does not know.
    """

    def __init__(self, by_stream: bool = False) -> None:
        self.by_stream = by_stream
        self.heard: list[Heard] = []
        self.counts: Counter[str] = Counter()
        self.verdict: Callable[[Heard], None] = accept
        self.keys: dict[int, bytes] = {}
        self._links: dict[str, GatewayLink] = {}
        self._lock = Lock()
        self._ids = MessageIdSource()

    def know(self, key: AuthKey) -> AuthKey:
        """Keep a permanent or temporary key as if it had been made before."""
        self.keys[key.auth_key_id] = pack_key(key)
        return key

    def by(self, *auth_key_ids: int) -> list[Heard]:
        """Return what was heard under some keys, look-ups and new keys left out."""
        return [
            heard
            for heard in list(self.heard)
            if heard.auth_key_id in auth_key_ids and heard.method not in ("query", "set")
        ]

    def note(self, heard: Heard) -> None:
        with self._lock:
            self.heard.append(heard)
        self.verdict(heard)

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def plaintext(self, data: session_pb2.SessionClientData, bodies: list[bytes]) -> bytes:
        """Return one message with all that is to be said."""
        with self._lock:
            messages = [
                ContainedMessage(self._ids.next_id(now(), response=True), 1, body)
                for body in bodies
            ]
            container = pack_container(messages)
            msg_id = self._ids.next_id(now(), response=True)
        if len(messages) == 1:
            msg_id, _, container = messages[0]
        head = pack("<qqqii", data.salt, data.session_id, msg_id, 1, len(container))
        return head + container

    def push(self, data: session_pb2.SessionClientData, plaintext: bytes) -> None:
        """Send to the gateway that the data came from."""
        with self._lock:
            link = self._links.get(data.server_id)
            if link is None:
                link = GatewayLink(data.server_id, self.by_stream, None)
                self._links[data.server_id] = link
        link.push(data.auth_key_id, data.session_id, plaintext)

    def close(self) -> None:
        for link in self._links.values():
            link.close()


class SessionNode(RpcNode):
    """One node of it, with places of its own."""

    def __init__(self, service: SessionService) -> None:
        super().__init__()
        self._service = service
        self._lock = Lock()
        #: By perm_auth_key_id: who spoke last, and who was ever here.
        self._current: dict[int, Name] = {}
        self._known: set[tuple[int, Name]] = set()

    # -- keys ----------------------------------------------------------------------------------

    def query(self, raw: bytes, _by_stream: bool) -> bytes:
        asked = session_pb2.TL_session_queryAuthKey.FromString(raw).auth_key_id
        self._service.note(Heard(self.address, "query", asked))
        key = self._service.keys.get(asked)
        if key is None:
            raise Fault(grpc.StatusCode.UNKNOWN.value[0], "AUTH_KEY_UNREGISTERED")
        return key

    def set(self, raw: bytes, _by_stream: bool) -> bytes:
        info = session_pb2.TL_session_setAuthKey.FromString(raw).auth_key
        heard = Heard(self.address, "set", info.auth_key_id, key_type=info.auth_key_type)
        self._service.note(heard)
        self._service.keys[info.auth_key_id] = info.SerializeToString()
        return accepted()

    # -- sessions ------------------------------------------------------------------------------

    def create(self, raw: bytes, _by_stream: bool) -> bytes:
        client = session_pb2.TL_session_createSession.FromString(raw).client
        self._know(self._event("create", client))
        return accepted()

    def close(self, raw: bytes, _by_stream: bool) -> bytes:
        heard = self._event("close", session_pb2.TL_session_closeSession.FromString(raw).client)
        with self._lock:
            place = (heard.perm_auth_key_id, heard.name)
            known = place in self._known
            self._known.discard(place)
            if self._current.get(heard.perm_auth_key_id) == heard.name:
                del self._current[heard.perm_auth_key_id]
        if not known:
            self._service.count("closes refused")
            raise Fault(grpc.StatusCode.UNKNOWN.value[0], "no such session")
        return accepted()

    def _event(self, method: str, client: session_pb2.SessionClientEvent) -> Heard:
        heard = Heard(
            self.address,
            method,
            client.auth_key_id,
            client.perm_auth_key_id,
            client.session_id,
            client.key_type,
            client.conn_type,
        )
        self._service.note(heard)
        return heard

    # -- data ----------------------------------------------------------------------------------

    def data(self, raw: bytes, _by_stream: bool) -> bytes:
        data = session_pb2.TL_session_sendDataToSession.FromString(raw).data
        bodies = self._take("data", data)
        if bodies:
            later = Timer(ANSWER_SECONDS, self._answer, (data, bodies))
            later.daemon = True
            later.start()
        return accepted()

    def http(self, raw: bytes, _by_stream: bool) -> bytes:
        data = session_pb2.TL_session_sendHttpDataToSession.FromString(raw).client
        bodies = self._take("http", data)
        payload = self._service.plaintext(data, bodies) if bodies else b""
        answer = session_pb2.HttpSessionData(payload=payload)
        said: bytes = answer.SerializeToString()
        return said

    def _take(self, method: str, data: session_pb2.SessionClientData) -> list[bytes]:
        """Note data, let their session have its place, and return what is to be answered."""
        msg_id, seq_no, length = unpack_from("<qii", data.payload)
        messages = messages_of(msg_id, seq_no, data.payload[16 : 16 + length])
        heard = Heard(
            self.address,
            method,
            data.auth_key_id,
            data.perm_auth_key_id,
            data.session_id,
            data.key_type,
            data.conn_type,
            tuple(message.kind for message in messages),
        )
        self._service.note(heard)
        self._know(heard)
        answers = [answer_to(message, data.perm_auth_key_id) for message in messages]
        return [answer for answer in answers if answer is not None]

    def _know(self, heard: Heard) -> None:
        with self._lock:
            self._current[heard.perm_auth_key_id] = heard.name
            self._known.add((heard.perm_auth_key_id, heard.name))

    def _answer(self, data: session_pb2.SessionClientData, bodies: list[bytes]) -> None:
        with self._lock:
            current = self._current.get(data.perm_auth_key_id)
        if current == (data.auth_key_id, data.session_id):
            self._service.push(data, self._service.plaintext(data, bodies))
        else:
            self._service.count("dropped")
