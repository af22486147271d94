"""gRPC messages out of DATA: a byte that says compressed or not, four of length, the message.

Frames and messages know nothing of each other: a frame may hold many, and one may fill many.
Source: grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html
"""

from typing import Final

from gnetway.errors import GatewayError
from gnetway.http2.heads import INTERNAL, RESOURCE_EXHAUSTED

PREFIX_BYTES: Final = 5

#: Smaller parts are copied: a view would spare that, but keep all of what was read.
_SMALL_BYTES: Final = 4_096

#: Messages that one call gives at most. A frame of 64 KiB holds 13,000 empty ones, which would cost
#: their reader a turn of a tenth of a second.
_MAX_MESSAGES: Final = 512


class MessageFault(GatewayError):
    """A message cannot be taken; the call ends with the gRPC status ``status``."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class MessageJoiner:
    """Joins the messages of one stream; holds at most one, of ``max_message_bytes``.

    ``held_bytes`` is how much memory its parts take: they may be views of a little more.
    """

    __slots__ = (
        "_first_view",
        "_max_message_bytes",
        "_missing",
        "_parts",
        "_prefix",
        "_viewed",
        "_viewed_bytes",
        "held_bytes",
    )

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._prefix = b""
        self._parts: list[bytes | memoryview] = []
        #: Bytes that the message still needs; -1 between two messages.
        self._missing = -1
        #: What the last parts are views of, which the first of them is, and how much they are.
        self._viewed = b""
        self._first_view = 0
        self._viewed_bytes = 0
        self.held_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a message."""
        return self._missing < 0 and not self._prefix

    def feed(self, data: bytes, start: int, stop: int) -> tuple[list[bytes], int]:
        """Take ``data[start:stop]`` and return the messages that are complete with it.

        Also return how many bytes are left of it: none, unless there are very many messages.

        :raises MessageFault: a message is too large or compressed.
        """
        # A prefix that was cut by the end of a frame: rare, and joined by copying.
        if self._prefix:
            data = self._prefix + data[start:stop]
            start, stop = 0, len(data)
        messages: list[bytes] = []
        # An empty message takes 5 bytes: one frame may bring thousands of them.
        while len(messages) < _MAX_MESSAGES:
            if self._missing < 0:
                if stop - start < PREFIX_BYTES:
                    self._prefix = data[start:stop]
                    return messages, 0
                self._prefix = b""
                # Judged before anything of the message is kept: a length alone costs its sender
                # nothing.
                self._missing = self._length(data, start)
                start += PREFIX_BYTES
            end = min(stop, start + self._missing)
            self._missing -= end - start
            if self._missing:
                self._keep(data, start, end)
                return messages, 0
            if self._parts:
                self._keep(data, start, end)
                messages.append(b"".join(self._parts))
                self._parts = []
                self._viewed = b""
                self._viewed_bytes = 0
                self.held_bytes = 0
            else:
                messages.append(data[start:end])
            self._missing = -1
            start = end
        return messages, stop - start

    def _keep(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        # So little is copied for less than a view costs, which would keep all of the frame.
        if size < _SMALL_BYTES:
            self._parts.append(data[start:end])
            self.held_bytes += size
            return
        # A view spares a copy, but keeps all of ``data``.
        if data is not self._viewed:
            self._settle()
            self._viewed = data
            self._first_view = len(self._parts)
            self.held_bytes += len(data)
        self._viewed_bytes += size
        self._parts.append(memoryview(data)[start:end])

    def _settle(self) -> None:
        """Copy the views of what came last, if they are the smaller part of it."""
        if self._viewed_bytes << 1 < len(self._viewed):
            for place in range(self._first_view, len(self._parts)):
                self._parts[place] = bytes(self._parts[place])
            self.held_bytes += self._viewed_bytes - len(self._viewed)
        self._viewed = b""
        self._viewed_bytes = 0

    def _length(self, data: bytes, start: int) -> int:
        # The Compressed-Flag of gRPC's messages; no encoding is offered here.
        if data[start]:
            raise MessageFault(INTERNAL, "a compressed message, which was not agreed upon")
        length = int.from_bytes(data[start + 1 : start + PREFIX_BYTES], "big")
        if length > self._max_message_bytes:
            raise MessageFault(
                RESOURCE_EXHAUSTED,
                f"message of {length} bytes, allowed are {self._max_message_bytes}",
            )
        return length
