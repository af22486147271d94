"""The client's half of MTProto, sans-I/O, so that both ends can meet in memory.

:class:`ClientExchange` makes an auth key and believes nothing that the server says before it is
proved; :class:`ClientSession` encrypts and decrypts messages with it. Neither knows a framing:
what goes in and out are unencrypted bodies and whole packets.

    client = ClientExchange([rsa_key], random_bytes)
    query = client.begin()
    while query is not None:
        query = client.receive(answer_of_the_server(query))
    session = ClientSession(client.key, client.salt, random_bytes)
    packet = session.encrypt(Ping(1).pack(), now)

A server that breaks the protocol gets a :class:`PeerError`. :class:`Bends` break the client's own
side at any step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1, sha256
from math import gcd
from struct import pack, unpack_from
from typing import NamedTuple, TypeVar

from cryptg import factorize_pq_pair
from gmpy2 import is_prime, is_square, powmod

from gnetway.crypto.aes import ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.crypto.diffie_hellman import DH_PRIME, DH_PRIME_BYTES
from gnetway.crypto.message_key import derive_aes
from gnetway.crypto.rsa import RsaKey
from gnetway.crypto.rsa_padding import seal_legacy, seal_rsa_pad
from gnetway.tl.key_exchange import (
    ClientDHInnerData,
    DHGenFail,
    DHGenOk,
    DHGenRetry,
    PQInnerData,
    ReqDHParams,
    ReqPq,
    ResPQ,
    ServerDHInnerData,
    ServerDHParamsOk,
    SetClientDHParams,
    parse_answer,
    parse_server_dh_inner_data,
)

RandomBytes = Callable[[int], bytes]
T = TypeVar("T")

_MARGIN = 1 << (2048 - 64)
_HASH_NUMBERS = {DHGenOk: 1, DHGenRetry: 2, DHGenFail: 3}


class PeerError(AssertionError):
    """The server's answer does not stand a client's checks."""


class KeyGivenUp(Exception):
    """The server has proved by dh_gen_fail that it gave up."""


def _demand(fact: bool, what: str) -> None:
    if not fact:
        raise PeerError(what)


def _same(value: T) -> T:
    return value


@dataclass(frozen=True)
class Wish:
    """What kind of key the client wants, and how it says so."""

    multi: bool = True
    legacy: bool = False
    dc: int | None = None
    expires_in: int | None = None


@dataclass(frozen=True)
class Bends:
    """A function for each thing that the client makes; what it returns is used instead.

    ``inner_block`` and ``client_block`` get the bytes before they are encrypted: p_q_inner_data,
    and SHA1 with client_DH_inner_data and padding. The three queries come last, after all else.
    """

    inner: Callable[[PQInnerData], PQInnerData] = _same
    inner_block: Callable[[bytes], bytes] = _same
    client_inner: Callable[[ClientDHInnerData], ClientDHInnerData] = _same
    client_block: Callable[[bytes], bytes] = _same
    req_pq: Callable[[ReqPq], ReqPq] = _same
    req_dh_params: Callable[[ReqDHParams], ReqDHParams] = _same
    set_client_dh: Callable[[SetClientDHParams], SetClientDHParams] = _same


class ClientExchange:
    """Makes one auth key: ``begin``, then ``receive`` each answer until it returns None.

    Then ``key`` and ``salt`` are there, and ``server_time`` in Unix seconds. ``retries`` counts
    the dh_gen_retry that came; the client obeys them all.
    """

    def __init__(
        self,
        keys: Sequence[RsaKey],
        random_bytes: RandomBytes,
        wish: Wish | None = None,
        bends: Bends | None = None,
    ) -> None:
        self._keys = {key.fingerprint: key for key in keys}
        self._random_bytes = random_bytes
        self.wish = wish or Wish()
        self.bends = bends or Bends()
        self.nonce = random_bytes(16)
        self.new_nonce = random_bytes(32)
        self.server_nonce = b""
        self.exponent = 0
        self.server_dh: ServerDHInnerData | None = None
        self.candidate: AuthKey | None = None
        self.key: AuthKey | None = None
        self.salt = 0
        self.server_time = 0
        self.retries = 0

    def begin(self) -> bytes:
        """Return req_pq_multi or, by the wish, req_pq."""
        return self.bends.req_pq(ReqPq(self.nonce, self.wish.multi)).pack()

    def receive(self, body: bytes) -> bytes | None:
        """Check an answer and return the next query, or None once the key is made.

        :raises PeerError: the answer is wrong.
        :raises KeyGivenUp: it is dh_gen_fail.
        """
        answer = parse_answer(body)
        _demand(answer.nonce == self.nonce, "another nonce")
        if isinstance(answer, ResPQ):
            _demand(not self.server_nonce, "resPQ out of turn")
            return self._req_dh_params(answer)
        _demand(answer.server_nonce == self.server_nonce, "another server_nonce")
        if isinstance(answer, ServerDHParamsOk):
            _demand(self.server_dh is None, "server_DH_params_ok out of turn")
            self.server_dh = self._open_server_dh(answer.encrypted_answer)
            self.server_time = self.server_dh.server_time
            return self._set_client_dh(self.server_dh, 0)
        return self._judge(answer)

    def _req_dh_params(self, answer: ResPQ) -> bytes:
        self.server_nonce = answer.server_nonce
        pq = int.from_bytes(answer.pq, "big")
        _demand(1 < pq < 1 << 63, "pq out of range")
        p, q = factor(pq)
        _demand(p < q and is_prime(p) and is_prime(q), "pq is not of two primes")
        known = [self._keys[mark] for mark in answer.fingerprints if mark in self._keys]
        _demand(bool(known), "no fingerprint is known")
        p_bytes, q_bytes = p.to_bytes(4, "big"), q.to_bytes(4, "big")
        inner = PQInnerData(
            answer.pq,
            p_bytes,
            q_bytes,
            self.nonce,
            self.server_nonce,
            self.new_nonce,
            self.wish.dc,
            self.wish.expires_in,
        )
        block = self.bends.inner_block(self.bends.inner(inner).pack())
        seal = seal_legacy if self.wish.legacy else seal_rsa_pad
        sealed = seal(known[0].modulus, known[0].exponent, block, self._random_bytes)
        mark = known[0].fingerprint
        query = ReqDHParams(self.nonce, self.server_nonce, p_bytes, q_bytes, mark, sealed)
        return self.bends.req_dh_params(query).pack()

    def _open_server_dh(self, encrypted: bytes) -> ServerDHInnerData:
        _demand(len(encrypted) % 16 == 0, "encrypted_answer is no whole number of blocks")
        plaintext = ige_decrypt(encrypted, *self.aes())
        inner, size = parse_server_dh_inner_data(plaintext[20:])
        _demand(sha1(plaintext[20 : 20 + size]).digest() == plaintext[:20], "SHA1 of the answer")
        _demand(len(plaintext) - 20 - size < 16, "a block of padding or more")
        _demand(inner.nonce == self.nonce, "another nonce inside")
        _demand(inner.server_nonce == self.server_nonce, "another server_nonce inside")
        _demand(inner.dh_prime == DH_PRIME_BYTES and inner.g == 3, "another group")
        g_a = int.from_bytes(inner.g_a, "big")
        _demand(_MARGIN <= g_a <= DH_PRIME - _MARGIN, "g_a out of range")
        return inner

    def _set_client_dh(self, server: ServerDHInnerData, retry_id: int) -> bytes:
        self.exponent = int.from_bytes(self._random_bytes(64), "big")
        g_b = int(powmod(server.g, self.exponent, DH_PRIME))
        secret = int(powmod(int.from_bytes(server.g_a, "big"), self.exponent, DH_PRIME))
        kind = KeyKind.PERM if self.wish.expires_in is None else KeyKind.TEMP
        self.candidate = AuthKey(secret.to_bytes(256, "big"), kind)
        g_b_bytes = g_b.to_bytes((g_b.bit_length() + 7) // 8, "big")
        inner = ClientDHInnerData(self.nonce, self.server_nonce, retry_id, g_b_bytes)
        data = self.bends.client_inner(inner).pack()
        block = sha1(data).digest() + data
        block = self.bends.client_block(block + self._random_bytes(-len(block) % 16))
        query = SetClientDHParams(self.nonce, self.server_nonce, ige_encrypt(block, *self.aes()))
        return self.bends.set_client_dh(query).pack()

    def _judge(self, answer: DHGenOk | DHGenRetry | DHGenFail) -> bytes | None:
        key, server_dh = self.candidate, self.server_dh
        _demand(self.key is None, "an answer out of turn")
        if key is None or server_dh is None:
            raise PeerError("an answer out of turn")
        number = bytes((_HASH_NUMBERS[type(answer)],))
        expected = sha1(self.new_nonce + number + key.aux_hash).digest()[4:]
        _demand(answer.new_nonce_hash == expected, "new_nonce_hash")
        if isinstance(answer, DHGenFail):
            raise KeyGivenUp
        if isinstance(answer, DHGenRetry):
            self.retries += 1
            retry_id = int.from_bytes(key.aux_hash, "little", signed=True)
            return self._set_client_dh(server_dh, retry_id)
        mixed = bytes(a ^ b for a, b in zip(self.new_nonce[:8], self.server_nonce[:8], strict=True))
        self.key, self.salt = key, int.from_bytes(mixed, "little", signed=True)
        return None

    def aes(self) -> tuple[bytes, bytes]:
        """Return the temporary AES key and its iv."""
        new_server = sha1(self.new_nonce + self.server_nonce).digest()
        server_new = sha1(self.server_nonce + self.new_nonce).digest()
        new_new = sha1(self.new_nonce + self.new_nonce).digest()
        return new_server + server_new[:12], server_new[12:] + new_new + self.new_nonce[:4]


@cache
def factor(pq: int) -> tuple[int, int]:
    """Return the two factors of ``pq``, the smaller first (Pollard's rho)."""
    if pq % 2 and pq >> 40 and not is_prime(pq) and not is_square(pq):
        # The same in C, for the numbers that it ends with: a sixth of the time.
        p, q = factorize_pq_pair(pq)
        return min(p, q), max(p, q)
    for constant in range(1, 50):
        slow = fast = 2
        divisor = 1
        while divisor == 1:
            slow = (slow * slow + constant) % pq
            fast = (fast * fast + constant) % pq
            fast = (fast * fast + constant) % pq
            divisor = gcd(slow - fast, pq)
        if divisor != pq:
            return min(divisor, pq // divisor), max(divisor, pq // divisor)
    raise PeerError("pq cannot be factored")


def plain_packet(body: bytes, now: float) -> bytes:
    """Return an unencrypted packet of a client; ``now`` is in Unix seconds."""
    return pack("<qqi", 0, int(now * 2**32) & ~3, len(body)) + body


def open_plain_packet(packet: bytes) -> bytes:
    """Return the body of a server's unencrypted packet, up to 15 bytes of padding taken off.

    :raises PeerError: it is none.
    """
    _demand(len(packet) >= 20, "no unencrypted packet")
    key_id, msg_id, length = unpack_from("<qqi", packet)
    _demand(key_id == 0 and msg_id % 4 == 1, "no unencrypted answer")
    _demand(length >= 0 and 0 <= len(packet) - 20 - length < 16, "length of an unencrypted answer")
    return packet[20 : 20 + length]


class ServerMessage(NamedTuple):
    """What the server said."""

    salt: int
    session_id: int
    msg_id: int
    seq_no: int
    body: bytes


class ClientSession:
    """Messages of one session, both ways.

    After each ``encrypt``: ``msg_id`` is that message's, and ``quick_ack_token`` is what a quick
    ack of it would say.
    """

    def __init__(
        self, key: AuthKey, salt: int, random_bytes: RandomBytes, session_id: int = 0
    ) -> None:
        self.key = key
        self.salt = salt
        self.session_id = session_id or int.from_bytes(random_bytes(8), "little", signed=True)
        self.msg_id = 0
        self.quick_ack_token = 0
        self._random_bytes = random_bytes
        self._contents = 0

    def coming_msg_id(self, now: float) -> int:
        """Return what the next msg_id will be: a multiple of 4, higher than the last."""
        return max(int(now * 2**32) & ~3, self.msg_id + 4)

    def next_msg_id(self, now: float) -> int:
        """Return the next msg_id."""
        self.msg_id = self.coming_msg_id(now)
        return self.msg_id

    def next_seq_no(self, content_related: bool) -> int:
        """Return the next seq_no: odd where the server is to acknowledge the message."""
        seq_no = 2 * self._contents + content_related
        self._contents += content_related
        return seq_no

    def encrypt(self, body: bytes, now: float, content_related: bool = True) -> bytes:
        """Return the packet that carries ``body``; ``now`` is in Unix seconds."""
        msg_id = self.next_msg_id(now)
        return self.encrypt_message(msg_id, self.next_seq_no(content_related), body)

    def encrypt_message(self, msg_id: int, seq_no: int, body: bytes) -> bytes:
        """Return the packet of a message with these numbers, good or not."""
        header = pack("<qqqii", self.salt, self.session_id, msg_id, seq_no, len(body))
        plaintext = header + body
        return self.seal(plaintext + self._random_bytes(12 + (4 - len(plaintext)) % 16))

    def seal(self, padded: bytes) -> bytes:
        """Encrypt a plaintext as it stands: whole blocks, padding included, good or not."""
        digest = sha256(self.key.secret[88:120] + padded).digest()
        self.quick_ack_token = int.from_bytes(digest[:4], "little") | 1 << 31
        msg_key = digest[8:24]
        encrypted = ige_encrypt(padded, *derive_aes(self.key.secret, msg_key, 0))
        return self.key.id_bytes + msg_key + encrypted

    def decrypt(self, packet: bytes) -> ServerMessage:
        """Return the server's message.

        :raises PeerError: it is for another key or session, or fails any check of the security
            guidelines.
        """
        packet = packet[: len(packet) - (len(packet) - 24) % 16]
        _demand(len(packet) >= 56, "a packet too short")
        _demand(packet[:8] == self.key.id_bytes, "another auth_key_id")
        msg_key = packet[8:24]
        plaintext = ige_decrypt(packet[24:], *derive_aes(self.key.secret, msg_key, 8))
        digest = sha256(self.key.secret[96:128] + plaintext).digest()
        _demand(digest[8:24] == msg_key, "msg_key")
        salt, session_id, msg_id, seq_no, length = unpack_from("<qqqii", plaintext)
        _demand(length >= 0 and length % 4 == 0, "message length")
        _demand(12 <= len(plaintext) - 32 - length <= 1024, "padding")
        _demand(session_id == self.session_id, "another session_id")
        _demand(msg_id % 4 in (1, 3), "msg_id is not the server's")
        return ServerMessage(salt, session_id, msg_id, seq_no, plaintext[32 : 32 + length])
