"""What the server has sent and the client has not acknowledged, kept to be sent again.

Bounded in number and in bytes: the oldest leaves. A client that never acknowledges therefore
costs no more than any other.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

#: Most messages kept for one session.
MAX_KEPT_MESSAGES: Final = 256

#: Most bytes of bodies kept for one session.
MAX_KEPT_BYTES: Final = 2 * 1024 * 1024


class SentMessage(NamedTuple):
    """One message of the server; ``request_msg_id`` is what it answers, 0 for nothing."""

    msg_id: int
    seq_no: int
    body: bytes
    request_msg_id: int


class SentMessages:
    """Unacknowledged messages by msg_id, oldest first."""

    __slots__ = ("_answers", "_bytes", "_kept")

    def __init__(self) -> None:
        self._kept: dict[int, SentMessage] = {}
        self._answers: dict[int, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, message: SentMessage) -> None:
        """Keep a message; one that is larger than the whole bound is not kept."""
        if len(message.body) > MAX_KEPT_BYTES:
            return
        self._kept[message.msg_id] = message
        self._bytes += len(message.body)
        if message.request_msg_id:
            self._answers[message.request_msg_id] = message.msg_id
        while len(self._kept) > MAX_KEPT_MESSAGES or self._bytes > MAX_KEPT_BYTES:
            self.drop(next(iter(self._kept)))

    def get(self, msg_id: int) -> SentMessage | None:
        """Return a kept message."""
        return self._kept.get(msg_id)

    def answer_to(self, request_msg_id: int) -> SentMessage | None:
        """Return the kept answer to a client's message."""
        msg_id = self._answers.get(request_msg_id)
        return None if msg_id is None else self._kept.get(msg_id)

    def drop(self, msg_id: int) -> None:
        """Forget a message, if it is kept."""
        message = self._kept.pop(msg_id, None)
        if message is not None:
            self._bytes -= len(message.body)
            self._answers.pop(message.request_msg_id, None)

    def acknowledge(self, msg_ids: Iterable[int]) -> None:
        """Forget what the client says it has got."""
        for msg_id in msg_ids:
            self.drop(msg_id)
