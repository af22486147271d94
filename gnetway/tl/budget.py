"""What one packet of a client may make the gateway do, counted over all that is in it.

A list or a compressed object is cheap to send, so nothing is bounded by the bytes of a packet
alone: what is unpacked, what is stepped over and what is looked up have an account each. A packet
at all of its bounds takes some 20 ms of the reactor on pure Python; what is above is refused.
"""

from typing import Final, NamedTuple

from gnetway.errors import TLError

#: What is unpacked of a packet that is only looked into, in bytes: a bind with all its wrappers
#: has some hundred, a container beside it a few thousand.
MAX_LOOK_BYTES: Final = 64 * 1024

#: How many wrappers and values such a packet may have, each message of a container counted as
#: ``MESSAGE_VALUES`` of them: 256 messages, where clients that have yet to bind send three.
MAX_LOOK_VALUES: Final = 1024
MESSAGE_VALUES: Final = 4


class UnpackedTooLarge(TLError):
    """What a packet compresses is larger than ``max_bytes`` in all."""

    cause = "unpacked_too_large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"a packet unpacks to more than {max_bytes} bytes")
        self.max_bytes = max_bytes


class TooManyValues(TLError):
    """A packet has more than ``max_values`` wrappers and JSON values in all."""

    cause = "too_many_values"

    def __init__(self, max_values: int) -> None:
        super().__init__(f"more than {max_values} wrappers and JSON values in a packet")
        self.max_values = max_values


class UnwrapLimits(NamedTuple):
    """How far to follow a client.

    ``max_depth``: wrappers around one call, and levels of JSON in its initConnection; real clients
    need 5. ``max_messages``: messages in one container, by the documents. ``max_unpacked_bytes``:
    the sum over a packet of all that gzip unpacks, 4 to 7 ms; four of the largest file parts.
    ``max_ids``: msg_ids in all lists of a packet, as many as the documents allow in one.
    ``max_values``: wrappers and JSON values in a packet, 3 us each on pure Python; clients send up
    to 20 with a call that begins a connection.
    """

    max_depth: int = 16
    max_messages: int = 1024
    max_unpacked_bytes: int = 2 * 1024 * 1024
    max_ids: int = 8192
    max_values: int = 2048

    def for_a_look(self) -> "UnwrapLimits":
        """Return the limits for a packet that somebody else is to judge."""
        return self._replace(
            max_unpacked_bytes=min(self.max_unpacked_bytes, MAX_LOOK_BYTES),
            max_values=min(self.max_values, MAX_LOOK_VALUES),
        )


class UnwrapBudget:
    """The account of one packet: ``unpacked_bytes`` grows over all that is unpacked for it.

    ``ids_left`` and ``values_left`` are what its further lists and values may have.
    """

    __slots__ = ("ids_left", "limits", "unpacked_bytes", "values_left")

    def __init__(self, limits: UnwrapLimits) -> None:
        self.limits = limits
        self.unpacked_bytes = 0
        self.ids_left = limits.max_ids
        self.values_left = limits.max_values

    @property
    def left_bytes(self) -> int:
        """How many bytes may still be unpacked; never negative."""
        return max(0, self.limits.max_unpacked_bytes - self.unpacked_bytes)

    def take_values(self, count: int) -> None:
        """Count wrappers or JSON values.

        :raises TooManyValues: they are more than the packet may still have.
        """
        self.values_left -= count
        if self.values_left < 0:
            raise TooManyValues(self.limits.max_values)
