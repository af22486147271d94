"""One message from a session service to a client: judged, delivered, counted."""

from struct import Struct
from typing import ClassVar, Final

from twisted.logger import Logger

from gnetway.errors import GatewayError
from gnetway.interfaces import IPushTarget
from gnetway.keys.heed import heed_key_news
from gnetway.metrics import Causes
from gnetway.mtproto.key_news import NEWS_LENGTHS, may_be_key_news
from gnetway.mtproto.message import HEADER_BYTES, MAX_PADDING_BYTES

#: What the encryption adds at most; with more than the rest of it the client refuses the message.
_OUR_PADDING_BYTES: Final = 27

#: salt, session_id, msg_id, seq_no, length.
_HEADER: Final = Struct("<8xq12xi")


class MalformedPush(GatewayError):
    """A push is no whole plaintext of its session; the client could make nothing of it."""


class Delivery:
    """Hands pushes to the sessions.

    ``counts`` has how many were ``delivered``; for ``no_session`` that is held here; ``not_taken``
    by the connections that hold it, as they are closing, or were just closed by too much that
    waits; ``malformed``; or ``failed`` by an error of ours.
    """

    _log: ClassVar = Logger()

    def __init__(self) -> None:
        self._target: IPushTarget | None = None
        self.counts = Causes()

    def serve(self, target: IPushTarget) -> None:
        """Deliver to ``target`` from now on; until then no session is held here."""
        self._target = target

    def push(self, auth_key_id: int, session_id: int, payload: bytes) -> bool:
        """Deliver one message; False where no connection has taken it.

        :raises MalformedPush: it cannot be for that session.
        """
        try:
            length = check_push(session_id, payload)
        except MalformedPush:
            self.counts.count("malformed")
            raise
        target = self._target
        if target is None:
            self.counts.count("no_session")
            return False
        try:
            taken = target.push(auth_key_id, session_id, payload)
            if length in NEWS_LENGTHS and may_be_key_news(payload, length):
                heed_key_news(target, auth_key_id, payload)
        except Exception:  # noqa: BLE001 - one message must not end a stream that carries many
            self._log.failure("A push could not be delivered")
            self.counts.count("failed")
            return False
        if taken:
            self.counts.count("delivered")
        else:
            held = target.holds(auth_key_id, session_id)
            self.counts.count("not_taken" if held else "no_session")
        return taken

    def malformed(self) -> None:
        """Count what was no push at all."""
        self.counts.count("malformed")


def check_push(session_id: int, plaintext: bytes) -> int:
    """Check a plaintext: salt, session_id, msg_id, seq_no, length, body; return the length.

    Padding may follow, as long as there is room for ours.

    :raises MalformedPush: it is too short, of another session, or of another length than it says.
    """
    if len(plaintext) < HEADER_BYTES:
        raise MalformedPush(f"a payload of {len(plaintext)} bytes")
    inner_id: int
    length: int
    inner_id, length = _HEADER.unpack_from(plaintext)
    if inner_id != session_id:
        raise MalformedPush("the payload is that of another session")
    padding = len(plaintext) - HEADER_BYTES - length
    if length < 0 or length & 3 or not 0 <= padding <= MAX_PADDING_BYTES - _OUR_PADDING_BYTES:
        raise MalformedPush(f"{len(plaintext)} bytes, whose body announces {length}")
    return length
