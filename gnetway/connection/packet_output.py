"""What leaves a client's connection: messages in, framed and obfuscated packets out."""

from typing import Final

from gnetway.codec.packet import Codec
from gnetway.connection.events import ConnectionSetup, MessageReceived
from gnetway.connection.unbound import Answers, join_answers, pack_answers
from gnetway.crypto.aes import CtrStream
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import encrypt
from gnetway.errors import ProtocolError
from gnetway.mtproto.message import MessageIdSource, pack_plain

_SILENT: Final = "nothing is sent before the client has spoken"


class PacketOutput:
    """The packets that wait to be taken, in the order of the calls.

    ``codec``, where given, carries one packet, so that all answers to a message stand in one.
    Without, the codec is known when the client has spoken, see ``begin``.
    """

    __slots__ = (
        "_codec",
        "_msg_ids",
        "_one_answer",
        "_out",
        "_outgoing",
        "_setup",
        "messages",
        "quick_acks",
        "unsent_bytes",
    )

    def __init__(self, setup: ConnectionSetup, codec: Codec | None) -> None:
        self._setup = setup
        self._codec = codec
        self._one_answer = codec is not None
        self._msg_ids: MessageIdSource | None = None
        #: The keystream of an obfuscated connection, for all that leaves.
        self._outgoing: CtrStream | None = None
        #: None for nothing: an empty list for each idle connection would be 2 % of its memory.
        self._out: list[bytes] | None = None
        #: Bytes that wait to be taken.
        self.unsent_bytes = 0
        #: What was sent so far: encrypted messages, and quick acks.
        self.messages = 0
        self.quick_acks = 0

    def begin(self, codec: Codec, outgoing: CtrStream | None) -> None:
        """Frame by ``codec`` from now on: it was detected by the client's first bytes."""
        self._codec = codec
        self._outgoing = outgoing

    def send_message(self, key: AuthKey, plaintext: bytes) -> None:
        """Encrypt and send a plaintext: salt, session_id, msg_id, seq_no, length, body."""
        # As _send_framed does it, but without its call: all that is pushed passes here.
        codec, outgoing, out, setup = self._codec, self._outgoing, self._out, self._setup
        assert codec is not None, _SILENT
        self.messages += 1
        framed = codec.frame(encrypt(key, plaintext, setup.random_bytes))
        if outgoing is not None:
            framed = outgoing.update(framed)
        if out is None:
            self._out = [framed]
        else:
            out.append(framed)
        self.unsent_bytes += len(framed)
        setup.traffic.messages_out += 1

    def send_quick_ack(self, token: int) -> None:
        """Tell the client that a message was accepted, in the form of its codec."""
        # Framed but no packet: each codec has its own form, and full and HTTP have none.
        codec = self._codec
        if codec is not None and codec.supports_quick_ack:
            self.quick_acks += 1
            self._setup.traffic.quick_acks += 1
            self._send_framed(codec.frame_quick_ack(token))

    def fail(self, error: ProtocolError) -> None:
        """Tell the client why the connection ends, where the protocol has a code for it."""
        # Four bytes, little-endian and negative, in a packet of their own, unencrypted.
        # See core.telegram.org/mtproto/mtproto-transports#transport-errors.
        code = error.transport_error
        if code is not None and self._codec is not None:
            self._send_framed(self._codec.frame(code.to_bytes(4, "little", signed=True)))

    def send_plain(self, body: bytes, now: float) -> None:
        """Send an unencrypted answer of a key exchange; ``now`` in Unix seconds."""
        assert self._codec is not None, _SILENT
        self._send_framed(self._codec.frame(pack_plain(self._next_msg_id(now), body)))

    def answer(self, message: MessageReceived, salt: int, answers: Answers, now: float) -> None:
        """Send what the core itself answers to a message; ``now`` in Unix seconds."""
        key, session_id = message.key, message.session_id

        def next_msg_id(response: bool) -> int:
            return self._next_msg_id(now, response)

        if self._one_answer:
            self.send_message(key, join_answers(answers, salt, session_id, next_msg_id))
            return
        for plaintext in pack_answers(answers, salt, session_id, next_msg_id):
            self.send_message(key, plaintext)

    def data_to_send(self) -> bytes:
        """Return all that is to be sent in one piece, and forget it; empty for nothing."""
        return b"".join(self.packets_to_send())

    def packets_to_send(self, join_bytes: int | None = None) -> list[bytes]:
        """Return the packets that are to be sent, oldest first, and forget them.

        Each is whole, framed and obfuscated; a quick ack is one as well. With ``join_bytes`` they
        are the first ones, as many as have no more bytes than that together, or the first alone.
        """
        out = self._out
        if out is None:
            return []
        # Here, and not where each is framed: a turn's packets are taken together.
        traffic = self._setup.traffic
        if join_bytes is None or self.unsent_bytes <= join_bytes:
            traffic.bytes_out += self.unsent_bytes
            self._out = None
            self.unsent_bytes = 0
            return out
        # One at least, however long: whoever asks for less would never get it.
        size = len(out[0])
        count = 1
        while count < len(out) and size + len(out[count]) <= join_bytes:
            size += len(out[count])
            count += 1
        packets = out[:count]
        del out[:count]
        if not out:
            self._out = None
        self.unsent_bytes -= size
        traffic.bytes_out += size
        return packets

    def rest(self) -> None:
        """Let go of what only a connection that talks needs."""
        if self._outgoing is not None:
            self._outgoing.rest()

    def _next_msg_id(self, now: float, response: bool = True) -> int:
        if self._msg_ids is None:
            self._msg_ids = MessageIdSource()
        return self._msg_ids.next_id(now, response)

    def _send_framed(self, framed: bytes) -> None:
        if self._outgoing is not None:
            framed = self._outgoing.update(framed)
        if self._out is None:
            self._out = [framed]
        else:
            self._out.append(framed)
        self.unsent_bytes += len(framed)
