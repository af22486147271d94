"""The sending half of a client link: messages in, framed and obfuscated bytes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES, Codec
from gnetway.connection.events import MessageReceived
from gnetway.connection.unbound import Answers, join_answers, pack_answers
from gnetway.crypto.aes import CtrStream
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import encrypt
from gnetway.errors import ProtocolError, TransportErrorCode
from gnetway.handshake.pending import PendingExchanges
from gnetway.mtproto.message import MessageIdSource
from gnetway.tl.unwrap import UnwrapLimits

# What connections share, and the faults of a client that uses keys wrongly.

#: The largest packet until a key is known: no message of a key exchange comes near it.
DEFAULT_FIRST_PACKET_BYTES: Final = 4096

#: Keys one link may use; clients mix two or three (temporary, media, permanent).
DEFAULT_MAX_KEYS: Final = 8


class AuthKeyMissing(ProtocolError):
    """The backend has proved that it does not know the key of a packet, or the key has expired."""

    transport_error: ClassVar[TransportErrorCode | None] = TransportErrorCode.KEY_UNKNOWN
    cause: ClassVar[str] = "key_unknown"


class AuthKeyGone(AuthKeyMissing):
    """A key that the link has used is destroyed, or the backend knows it no more."""

    cause: ClassVar[str] = "key_destroyed"


class TooManyKeys(ProtocolError):
    """One link used more keys than any client does."""

    transport_error: ClassVar[TransportErrorCode | None] = TransportErrorCode.FLOOD
    cause: ClassVar[str] = "too_many_keys"


class TooManyBeginnings(ProtocolError):
    """A client begins key exchanges and does not go on with any."""

    cause: ClassVar[str] = "handshake_too_many_beginnings"


@dataclass(frozen=True, slots=True)
class ConnectionSetup:
    """What all connections of a listener share.

    ``max_packet_bytes`` bounds any packet, ``first_packet_bytes`` those before a key is known.
    With ``backend_takes_unbound`` messages of unbound temporary keys go to the session backend,
    their binds once they are proved; without, only those.
    """

    exchanges: PendingExchanges
    random_bytes: Callable[[int], bytes]
    max_packet_bytes: int = DEFAULT_MAX_PACKET_BYTES
    first_packet_bytes: int = DEFAULT_FIRST_PACKET_BYTES
    max_keys: int = DEFAULT_MAX_KEYS
    backend_takes_unbound: bool = False
    unwrap_limits: UnwrapLimits = field(default_factory=UnwrapLimits)


_SILENT: Final = "nothing is sent before the client has spoken"


class PacketOutput:
    """What leaves a link, in the order of the calls; ``_codec`` is None until it is known."""

    __slots__ = ("_codec", "_msg_ids", "_one_answer", "_out", "_outgoing", "_setup", "unsent_bytes")

    def __init__(self, setup: ConnectionSetup, codec: Codec | None) -> None:
        self._setup = setup
        self._codec = codec
        #: Whether all that a message is answered with here stands in one packet.
        self._one_answer = codec is not None
        self._msg_ids: MessageIdSource | None = None
        #: What leaves over an obfuscated link is encrypted by this.
        self._outgoing: CtrStream | None = None
        self._out: list[bytes] = []
        #: Bytes that wait to be taken.
        self.unsent_bytes = 0

    def send_message(self, key: AuthKey, plaintext: bytes) -> None:
        """Encrypt and send a plaintext: salt, session_id, msg_id, seq_no, length, body."""
        # As _send_packet does it, but without its calls: all that is pushed passes here.
        codec, outgoing = self._codec, self._outgoing
        assert codec is not None, _SILENT
        framed = codec.frame(encrypt(key, plaintext, self._setup.random_bytes))
        if outgoing is not None:
            framed = outgoing.update(framed)
        self._out.append(framed)
        self.unsent_bytes += len(framed)

    def send_quick_ack(self, token: int) -> None:
        """Tell the client that a message was accepted, in the form of its codec."""
        codec = self._codec
        if codec is not None and codec.supports_quick_ack:
            self._send_framed(codec.frame_quick_ack(token))

    def fail(self, error: ProtocolError) -> None:
        """Tell the client why the link ends, where the protocol has a code for it."""
        code = error.transport_error
        if code is not None and self._codec is not None:
            self._send_packet(code.to_bytes(4, "little", signed=True))

    def data_to_send(self) -> bytes:
        """Return all that is to be sent in one piece, and forget it; empty for nothing."""
        return b"".join(self.packets_to_send())

    def packets_to_send(self, join_bytes: int | None = None) -> list[bytes]:
        """Return the packets that are to be sent, oldest first, and forget them.

        Each is whole, framed and obfuscated; a quick ack is one as well. With ``join_bytes`` they
        are the first ones, as many as have no more bytes than that together, or the first alone.
        """
        out = self._out
        if join_bytes is not None and self.unsent_bytes > join_bytes:
            return self._take_first(join_bytes)
        self._out = []
        self.unsent_bytes = 0
        return out

    def _take_first(self, join_bytes: int) -> list[bytes]:
        out = self._out
        size = len(out[0])
        count = 1
        while count < len(out) and size + len(out[count]) <= join_bytes:
            size += len(out[count])
            count += 1
        packets = out[:count]
        del out[:count]
        self.unsent_bytes -= size
        return packets

    def _answer(self, message: MessageReceived, salt: int, answers: Answers, now: float) -> None:
        key, session_id = message.key, message.session_id

        def next_msg_id(response: bool) -> int:
            return self._next_msg_id(now, response)

        if self._one_answer:
            self.send_message(key, join_answers(answers, salt, session_id, next_msg_id))
            return
        for plaintext in pack_answers(answers, salt, session_id, next_msg_id):
            self.send_message(key, plaintext)

    def _next_msg_id(self, now: float, response: bool = True) -> int:
        if self._msg_ids is None:
            self._msg_ids = MessageIdSource()
        return self._msg_ids.next_id(now, response)

    def _send_packet(self, packet: bytes) -> None:
        assert self._codec is not None, _SILENT
        self._send_framed(self._codec.frame(packet))

    def _send_framed(self, framed: bytes) -> None:
        if self._outgoing is not None:
            framed = self._outgoing.update(framed)
        self._out.append(framed)
        self.unsent_bytes += len(framed)
