"""Message identifiers: Unix time in the upper 32 bits, kind of sender in the lowest two.

Source: core.telegram.org/mtproto/description#message-identifier-msg-id
"""

from typing import Final

#: How far a client's msg_id may lie behind and before the server's clock, in seconds.
MAX_PAST_SECONDS: Final = 300
MAX_FUTURE_SECONDS: Final = 30

#: Codes of bad_msg_notification.
#: Source: core.telegram.org/mtproto/service_messages_about_messages
MSG_ID_TOO_LOW: Final = 16
MSG_ID_TOO_HIGH: Final = 17
MSG_ID_NOT_DIVISIBLE: Final = 18

#: How far msg_ids may be ahead of the wall clock because it was set back, in units of 2^-32
#: seconds: 10 seconds. Clients take the time from them, and with what they are off themselves must
#: stay within MAX_FUTURE_SECONDS.
MAX_AHEAD: Final = 10 << 32

_RESPONSE: Final = 1
_OTHER: Final = 3


class MessageIdSource:
    """Makes the server's msg_ids, each higher than the last.

    Even if the clock is set back, by up to MAX_AHEAD. After a longer step they follow the clock: a
    client that was told its time by higher ones would be refused for as long as the step was.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def next_id(self, now: float, response: bool) -> int:
        """Return a msg_id: 1 mod 4 for the answer to a message, else 3 mod 4.

        ``now`` is in Unix seconds.
        """
        base = int(now * 4294967296.0) & ~3
        ahead = self._last - base
        if 0 <= ahead <= MAX_AHEAD:
            base = self._last + 4
        self._last = base
        return base | (_RESPONSE if response else _OTHER)


def judge_message_id(msg_id: int, now: float) -> int:
    """Return 0 for a good client msg_id, else the code for bad_msg_notification."""
    if msg_id & 3:
        return MSG_ID_NOT_DIVISIBLE
    sent_at = msg_id >> 32
    if sent_at < now - MAX_PAST_SECONDS:
        return MSG_ID_TOO_LOW
    if sent_at > now + MAX_FUTURE_SECONDS:
        return MSG_ID_TOO_HIGH
    return 0
