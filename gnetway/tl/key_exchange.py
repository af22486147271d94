"""The messages that make an auth key and bind it, those of the client and those of the server.

``nonce`` and ``server_nonce`` have 16 bytes, ``new_nonce`` 32. ``pq``, ``p``, ``q``, ``dh_prime``,
``g_a`` and ``g_b`` are big-endian numbers as bytes. Nothing is judged here beyond the TL types:
that is the work of ``handshake/checks.py`` and ``mtproto/binding.py``. Secrets are not in a repr,
which may end up in a log.

Source: core.telegram.org/mtproto/auth_key and core.telegram.org/schema/mtproto
"""

from dataclasses import dataclass, field
from typing import Final

from gnetway.errors import TLError
from gnetway.tl.primitives import (
    IDS,
    INT,
    INT128,
    LONG,
    STRING,
    Constructor,
    Reader,
    Record,
    declare,
    open_boxed,
    pack_int32,
    pack_string,
    pack_uint32,
)

# Two of the messages write themselves, as their constructor follows from what is in them; the
# others are in the table below, see ``primitives.py``.

#: constructor → whether dc and expires_in follow, in this order.
_INNER_KINDS: Final[dict[int, tuple[bool, bool]]] = {
    Constructor.P_Q_INNER_DATA: (False, False),
    Constructor.P_Q_INNER_DATA_DC: (True, False),
    Constructor.P_Q_INNER_DATA_TEMP: (False, True),
    Constructor.P_Q_INNER_DATA_TEMP_DC: (True, True),
}
_INNER_CONSTRUCTORS: Final[dict[tuple[bool, bool], int]] = {
    fields: constructor for constructor, fields in _INNER_KINDS.items()
}


@dataclass(frozen=True, slots=True)
class ReqPq:
    """The client begins; ``multi`` tells req_pq_multi, which all of today send, from req_pq."""

    nonce: bytes
    multi: bool

    def pack(self) -> bytes:
        """Return the boxed object, 20 bytes."""
        kind = Constructor.REQ_PQ_MULTI if self.multi else Constructor.REQ_PQ
        return pack_uint32(kind) + self.nonce


@dataclass(frozen=True, slots=True)
class ResPQ(Record):
    """The server's answer: a number to factor, and which RSA keys it holds.

    ``fingerprints`` are signed 64-bit numbers.
    """

    nonce: bytes
    server_nonce: bytes
    pq: bytes
    fingerprints: list[int]


@dataclass(frozen=True, slots=True)
class PQInnerData:
    """What the client seals with the server's RSA key.

    Which of ``dc`` and ``expires_in`` are None decides the kind: with ``expires_in`` (seconds)
    the key is a temporary one. ``dc`` is signed: negative for media, above 10000 for tests.
    """

    pq: bytes
    p: bytes
    q: bytes
    nonce: bytes
    server_nonce: bytes
    new_nonce: bytes = field(repr=False)
    dc: int | None
    expires_in: int | None

    def pack(self) -> bytes:
        """Return the boxed object of the kind that fits ``dc`` and ``expires_in``."""
        kind = _INNER_CONSTRUCTORS[self.dc is not None, self.expires_in is not None]
        parts = [
            pack_uint32(kind),
            pack_string(self.pq),
            pack_string(self.p),
            pack_string(self.q),
            self.nonce,
            self.server_nonce,
            self.new_nonce,
        ]
        parts += [pack_int32(tail) for tail in (self.dc, self.expires_in) if tail is not None]
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class ReqDHParams(Record):
    """The client's factors, and its :class:`PQInnerData` sealed with the key ``fingerprint``."""

    nonce: bytes
    server_nonce: bytes
    p: bytes
    q: bytes
    fingerprint: int
    encrypted_data: bytes


@dataclass(frozen=True, slots=True)
class ServerDHParamsOk(Record):
    """The server's :class:`ServerDHInnerData`, encrypted."""

    nonce: bytes
    server_nonce: bytes
    encrypted_answer: bytes


@dataclass(frozen=True, slots=True)
class ServerDHInnerData(Record):
    """The server's half of the Diffie-Hellman exchange; ``server_time`` in Unix seconds."""

    nonce: bytes
    server_nonce: bytes
    g: int
    dh_prime: bytes
    g_a: bytes = field(repr=False)
    server_time: int


@dataclass(frozen=True, slots=True)
class ClientDHInnerData(Record):
    """The client's half.

    ``retry_id`` is signed: 0 at first, then the auth_key_aux_hash of the attempt that failed.
    """

    nonce: bytes
    server_nonce: bytes
    retry_id: int
    g_b: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetClientDHParams(Record):
    """The client's :class:`ClientDHInnerData`, encrypted."""

    nonce: bytes
    server_nonce: bytes
    encrypted_data: bytes


@dataclass(frozen=True, slots=True)
class DHGenOk(Record):
    """The key stands; ``new_nonce_hash`` is new_nonce_hash1, 16 bytes."""

    nonce: bytes
    server_nonce: bytes
    new_nonce_hash: bytes


@dataclass(frozen=True, slots=True)
class DHGenRetry(Record):
    """The client shall try another g_b; ``new_nonce_hash`` is new_nonce_hash2, 16 bytes."""

    nonce: bytes
    server_nonce: bytes
    new_nonce_hash: bytes


@dataclass(frozen=True, slots=True)
class DHGenFail(Record):
    """No key was made; ``new_nonce_hash`` is new_nonce_hash3, 16 bytes."""

    nonce: bytes
    server_nonce: bytes
    new_nonce_hash: bytes


@dataclass(frozen=True, slots=True)
class BindTempAuthKey(Record):
    """auth.bindTempAuthKey, sent under the temporary key.

    ``nonce`` is a signed 64-bit number, ``expires_at`` in Unix seconds. ``encrypted_message`` is a
    whole packet under the permanent key, in the encryption of MTProto 1.0, around a
    :class:`BindAuthKeyInner`.

    Source: core.telegram.org/method/auth.bindTempAuthKey
    """

    perm_auth_key_id: int
    nonce: int = field(repr=False)
    expires_at: int
    encrypted_message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BindAuthKeyInner(Record):
    """What the permanent key vouches for; ``nonce`` and ``expires_at`` as in the outer message."""

    nonce: int = field(repr=False)
    temp_auth_key_id: int
    perm_auth_key_id: int
    temp_session_id: int
    expires_at: int


declare(ResPQ, Constructor.RES_PQ, INT128, INT128, STRING, IDS)
declare(ReqDHParams, Constructor.REQ_DH_PARAMS, INT128, INT128, STRING, STRING, LONG, STRING)
declare(ServerDHParamsOk, Constructor.SERVER_DH_PARAMS_OK, INT128, INT128, STRING)
declare(
    ServerDHInnerData, Constructor.SERVER_DH_INNER_DATA, INT128, INT128, INT, STRING, STRING, INT
)
declare(SetClientDHParams, Constructor.SET_CLIENT_DH_PARAMS, INT128, INT128, STRING)
declare(ClientDHInnerData, Constructor.CLIENT_DH_INNER_DATA, INT128, INT128, LONG, STRING)
declare(DHGenOk, Constructor.DH_GEN_OK, INT128, INT128, INT128)
declare(DHGenRetry, Constructor.DH_GEN_RETRY, INT128, INT128, INT128)
declare(DHGenFail, Constructor.DH_GEN_FAIL, INT128, INT128, INT128)
declare(BindTempAuthKey, Constructor.AUTH_BIND_TEMP_AUTH_KEY, LONG, LONG, INT, STRING)
declare(BindAuthKeyInner, Constructor.BIND_AUTH_KEY_INNER, LONG, LONG, LONG, LONG, INT)

Request = ReqPq | ReqDHParams | SetClientDHParams
Answer = ResPQ | ServerDHParamsOk | DHGenOk | DHGenRetry | DHGenFail

_ANSWERS: Final[dict[int, type[Answer]]] = {
    Constructor.RES_PQ: ResPQ,
    Constructor.SERVER_DH_PARAMS_OK: ServerDHParamsOk,
    Constructor.DH_GEN_OK: DHGenOk,
    Constructor.DH_GEN_RETRY: DHGenRetry,
    Constructor.DH_GEN_FAIL: DHGenFail,
}


def is_beginning(body: bytes) -> bool:
    """Return whether an unencrypted body is req_pq or req_pq_multi, by its constructor alone."""
    kind = int.from_bytes(body[:4], "little")
    return kind in (Constructor.REQ_PQ, Constructor.REQ_PQ_MULTI)


def parse_request(body: bytes) -> Request:
    """Read what a client sends; bytes after the object are ignored, some clients pad there.

    :raises TLError: it is none of the three requests, or is cut short.
    """
    reader = Reader(body)
    kind = reader.uint32()
    # By hand: what begins a run comes from anybody, and is the least that a flood can cost.
    if kind in (Constructor.REQ_PQ, Constructor.REQ_PQ_MULTI):
        return ReqPq(reader.int128(), kind == Constructor.REQ_PQ_MULTI)
    if kind == Constructor.REQ_DH_PARAMS:
        return ReqDHParams.read(reader)
    if kind == Constructor.SET_CLIENT_DH_PARAMS:
        return SetClientDHParams.read(reader)
    raise TLError(f"constructor {kind:#010x} is no request of the key exchange")


def parse_answer(body: bytes) -> Answer:
    """Read what a server sends: the client's half, bytes after the object are ignored.

    :raises TLError: it is none of the five answers, or is cut short.
    """
    reader = Reader(body)
    kind = reader.uint32()
    answer = _ANSWERS.get(kind)
    if answer is None:
        raise TLError(f"constructor {kind:#010x} is no answer of the key exchange")
    return answer.read(reader)


def parse_pq_inner_data(data: bytes) -> tuple[PQInnerData, int]:
    """Read the decrypted inner data; return it and how many bytes of ``data`` it took.

    :raises TLError: it is none of the four kinds, or is cut short.
    """
    reader = Reader(data)
    kind = reader.uint32()
    fields = _INNER_KINDS.get(kind)
    if fields is None:
        raise TLError(f"constructor {kind:#010x} is no p_q_inner_data")
    has_dc, has_expiry = fields
    inner = PQInnerData(
        pq=reader.string(),
        p=reader.string(),
        q=reader.string(),
        nonce=reader.int128(),
        server_nonce=reader.int128(),
        new_nonce=reader.int256(),
        dc=reader.int32() if has_dc else None,
        expires_in=reader.int32() if has_expiry else None,
    )
    return inner, reader.position


def parse_server_dh_inner_data(data: bytes) -> tuple[ServerDHInnerData, int]:
    """Read the decrypted server_DH_inner_data; return it and how many bytes of ``data`` it took.

    :raises TLError: it is another object, or is cut short.
    """
    reader = open_boxed(data, Constructor.SERVER_DH_INNER_DATA)
    return ServerDHInnerData.read(reader), reader.position


def parse_client_dh_inner_data(data: bytes) -> tuple[ClientDHInnerData, int]:
    """Read the decrypted client_DH_inner_data; return it and how many bytes of ``data`` it took.

    :raises TLError: it is another object, or is cut short.
    """
    reader = open_boxed(data, Constructor.CLIENT_DH_INNER_DATA)
    return ClientDHInnerData.read(reader), reader.position
