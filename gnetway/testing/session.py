"""The client's half of encrypted messages, checked as the security guidelines demand.

Source: core.telegram.org/mtproto/description, core.telegram.org/mtproto/security_guidelines
"""

from collections.abc import Callable
from hashlib import sha256
from struct import pack, unpack_from
from typing import NamedTuple

from gnetway.crypto.aes import ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import derive_aes
from gnetway.testing.checks import demand

RandomBytes = Callable[[int], bytes]


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
        demand(len(packet) >= 56, "a packet too short")
        demand(packet[:8] == self.key.id_bytes, "another auth_key_id")
        msg_key = packet[8:24]
        plaintext = ige_decrypt(packet[24:], *derive_aes(self.key.secret, msg_key, 8))
        digest = sha256(self.key.secret[96:128] + plaintext).digest()
        demand(digest[8:24] == msg_key, "msg_key")
        salt, session_id, msg_id, seq_no, length = unpack_from("<qqqii", plaintext)
        demand(length >= 0 and length % 4 == 0, "message length")
        demand(12 <= len(plaintext) - 32 - length <= 1024, "padding")
        demand(session_id == self.session_id, "another session_id")
        demand(msg_id % 4 in (1, 3), "msg_id is not the server's")
        return ServerMessage(salt, session_id, msg_id, seq_no, plaintext[32 : 32 + length])
