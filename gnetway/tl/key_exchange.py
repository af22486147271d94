"""The messages that make an auth key, as records; those of the client and those of the server.

``nonce`` and ``server_nonce`` have 16 bytes, ``new_nonce`` 32. ``pq``, ``p``, ``q``, ``dh_prime``,
``g_a`` and ``g_b`` are big-endian numbers as bytes. Nothing is judged here beyond the TL types:
that is the work of ``handshake/checks.py``. ``pack()`` returns the boxed object.

Source: core.telegram.org/mtproto/auth_key and core.telegram.org/schema/mtproto
"""

from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import (
    Reader,
    open_boxed,
    pack_int32,
    pack_int64,
    pack_string,
    pack_uint32,
    pack_vector_int64,
)

#: constructor -> whether (dc, expires_in) follow. The dc stands in front of expires_in.
_INNER_KINDS: Final[dict[int, tuple[bool, bool]]] = {
    Constructor.P_Q_INNER_DATA: (False, False),
    Constructor.P_Q_INNER_DATA_DC: (True, False),
    Constructor.P_Q_INNER_DATA_TEMP: (False, True),
    Constructor.P_Q_INNER_DATA_TEMP_DC: (True, True),
}
_INNER_CONSTRUCTORS: Final[dict[tuple[bool, bool], int]] = {
    fields: constructor for constructor, fields in _INNER_KINDS.items()
}


class ReqPq(NamedTuple):
    """The client begins; ``multi`` tells req_pq_multi, which all of today send, from req_pq."""

    nonce: bytes
    multi: bool

    def pack(self) -> bytes:
        """Return the boxed object, 20 bytes."""
        kind = Constructor.REQ_PQ_MULTI if self.multi else Constructor.REQ_PQ
        return pack_uint32(kind) + self.nonce


class ResPQ(NamedTuple):
    """The server's answer: a number to factor, and which RSA keys it holds.

    ``fingerprints`` are signed 64-bit numbers.
    """

    nonce: bytes
    server_nonce: bytes
    pq: bytes
    fingerprints: list[int]

    def pack(self) -> bytes:
        """Return the boxed object."""
        return (
            pack_uint32(Constructor.RES_PQ)
            + self.nonce
            + self.server_nonce
            + pack_string(self.pq)
            + pack_vector_int64(self.fingerprints)
        )


class PQInnerData(NamedTuple):
    """What the client seals with the server's RSA key.

    Which of ``dc`` and ``expires_in`` are None decides the kind: with ``expires_in`` (seconds)
    the key is a temporary one. ``dc`` is signed: negative for media, above 10000 for tests.
    """

    pq: bytes
    p: bytes
    q: bytes
    nonce: bytes
    server_nonce: bytes
    new_nonce: bytes
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

    def __repr__(self) -> str:
        return "<PQInnerData>"


class ReqDHParams(NamedTuple):
    """The client's factors, and its :class:`PQInnerData` sealed with the key ``fingerprint``."""

    nonce: bytes
    server_nonce: bytes
    p: bytes
    q: bytes
    fingerprint: int
    encrypted_data: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        return (
            pack_uint32(Constructor.REQ_DH_PARAMS)
            + self.nonce
            + self.server_nonce
            + pack_string(self.p)
            + pack_string(self.q)
            + pack_int64(self.fingerprint)
            + pack_string(self.encrypted_data)
        )


class ServerDHParamsOk(NamedTuple):
    """The server's :class:`ServerDHInnerData`, encrypted."""

    nonce: bytes
    server_nonce: bytes
    encrypted_answer: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        head = pack_uint32(Constructor.SERVER_DH_PARAMS_OK)
        return head + self.nonce + self.server_nonce + pack_string(self.encrypted_answer)


class ServerDHInnerData(NamedTuple):
    """The server's half of the Diffie-Hellman exchange; ``server_time`` in Unix seconds."""

    nonce: bytes
    server_nonce: bytes
    g: int
    dh_prime: bytes
    g_a: bytes
    server_time: int

    def pack(self) -> bytes:
        """Return the boxed object."""
        return (
            pack_uint32(Constructor.SERVER_DH_INNER_DATA)
            + self.nonce
            + self.server_nonce
            + pack_int32(self.g)
            + pack_string(self.dh_prime)
            + pack_string(self.g_a)
            + pack_int32(self.server_time)
        )


class ClientDHInnerData(NamedTuple):
    """The client's half.

    ``retry_id`` is signed: 0 at first, then the auth_key_aux_hash of the attempt that failed.
    """

    nonce: bytes
    server_nonce: bytes
    retry_id: int
    g_b: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        head = pack_uint32(Constructor.CLIENT_DH_INNER_DATA)
        tail = pack_int64(self.retry_id) + pack_string(self.g_b)
        return head + self.nonce + self.server_nonce + tail

    def __repr__(self) -> str:
        return "<ClientDHInnerData>"


class SetClientDHParams(NamedTuple):
    """The client's :class:`ClientDHInnerData`, encrypted."""

    nonce: bytes
    server_nonce: bytes
    encrypted_data: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        head = pack_uint32(Constructor.SET_CLIENT_DH_PARAMS)
        return head + self.nonce + self.server_nonce + pack_string(self.encrypted_data)


class DHGenOk(NamedTuple):
    """The key stands; ``new_nonce_hash`` is new_nonce_hash1, 16 bytes."""

    nonce: bytes
    server_nonce: bytes
    new_nonce_hash: bytes

    def pack(self) -> bytes:
        """Return the boxed object, 52 bytes."""
        return pack_uint32(Constructor.DH_GEN_OK) + b"".join(self)


class DHGenRetry(NamedTuple):
    """The client shall try another g_b; ``new_nonce_hash`` is new_nonce_hash2, 16 bytes."""

    nonce: bytes
    server_nonce: bytes
    new_nonce_hash: bytes

    def pack(self) -> bytes:
        """Return the boxed object, 52 bytes."""
        return pack_uint32(Constructor.DH_GEN_RETRY) + b"".join(self)


class DHGenFail(NamedTuple):
    """No key was made; ``new_nonce_hash`` is new_nonce_hash3, 16 bytes."""

    nonce: bytes
    server_nonce: bytes
    new_nonce_hash: bytes

    def pack(self) -> bytes:
        """Return the boxed object, 52 bytes."""
        return pack_uint32(Constructor.DH_GEN_FAIL) + b"".join(self)


Request = ReqPq | ReqDHParams | SetClientDHParams
Answer = ResPQ | ServerDHParamsOk | DHGenOk | DHGenRetry | DHGenFail


def parse_request(body: bytes) -> Request:
    """Read what a client sends; bytes after the object are ignored, some clients pad there.

    :raises TLError: it is none of the three requests, or is cut short.
    """
    reader = Reader(body)
    kind = reader.uint32()
    nonce = reader.int128()
    if kind in (Constructor.REQ_PQ, Constructor.REQ_PQ_MULTI):
        return ReqPq(nonce, kind == Constructor.REQ_PQ_MULTI)
    server_nonce = reader.int128()
    if kind == Constructor.REQ_DH_PARAMS:
        p, q = reader.string(), reader.string()
        return ReqDHParams(nonce, server_nonce, p, q, reader.int64(), reader.string())
    if kind == Constructor.SET_CLIENT_DH_PARAMS:
        return SetClientDHParams(nonce, server_nonce, reader.string())
    raise TLError(f"constructor {kind:#010x} is no request of the key exchange")


def is_beginning(body: bytes) -> bool:
    """Return whether an unencrypted body is req_pq or req_pq_multi, by its constructor alone."""
    kind = int.from_bytes(body[:4], "little")
    return kind in (Constructor.REQ_PQ, Constructor.REQ_PQ_MULTI)


def parse_answer(body: bytes) -> Answer:
    """Read what a server sends: the client's half, bytes after the object are ignored.

    :raises TLError: it is none of the five answers, or is cut short.
    """
    reader = Reader(body)
    kind = reader.uint32()
    nonce, server_nonce = reader.int128(), reader.int128()
    if kind == Constructor.RES_PQ:
        return ResPQ(nonce, server_nonce, reader.string(), reader.vector_int64())
    if kind == Constructor.SERVER_DH_PARAMS_OK:
        return ServerDHParamsOk(nonce, server_nonce, reader.string())
    if kind == Constructor.DH_GEN_OK:
        return DHGenOk(nonce, server_nonce, reader.int128())
    if kind == Constructor.DH_GEN_RETRY:
        return DHGenRetry(nonce, server_nonce, reader.int128())
    if kind == Constructor.DH_GEN_FAIL:
        return DHGenFail(nonce, server_nonce, reader.int128())
    raise TLError(f"constructor {kind:#010x} is no answer of the key exchange")


def parse_pq_inner_data(data: bytes) -> tuple[PQInnerData, int]:
    """Read the decrypted inner data and tell how many bytes of ``data`` it took.

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
    """Read the decrypted server_DH_inner_data and tell how many bytes of ``data`` it took.

    :raises TLError: it is another object, or is cut short.
    """
    reader = open_boxed(data, Constructor.SERVER_DH_INNER_DATA)
    inner = ServerDHInnerData(
        nonce=reader.int128(),
        server_nonce=reader.int128(),
        g=reader.int32(),
        dh_prime=reader.string(),
        g_a=reader.string(),
        server_time=reader.int32(),
    )
    return inner, reader.position


def parse_client_dh_inner_data(data: bytes) -> tuple[ClientDHInnerData, int]:
    """Read the decrypted client_DH_inner_data and tell how many bytes of ``data`` it took.

    :raises TLError: it is another object, or is cut short.
    """
    reader = open_boxed(data, Constructor.CLIENT_DH_INNER_DATA)
    inner = ClientDHInnerData(
        nonce=reader.int128(),
        server_nonce=reader.int128(),
        retry_id=reader.int64(),
        g_b=reader.string(),
    )
    return inner, reader.position
