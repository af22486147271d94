"""gRPC messages out of DATA: a byte that says compressed or not, four of length, the message.

Frames and messages know nothing of each other: a frame may hold many, and one may fill many.
Source: grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html
"""

from typing import Final

from gnetway.errors import GatewayError
from gnetway.http2.grpc_fields import INTERNAL, RESOURCE_EXHAUSTED

PREFIX_BYTES: Final = 5

_SMALL_BYTES: Final = 4_096


class MessageFault(GatewayError):
    """A message cannot be taken; the call ends with the gRPC status ``status``."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class MessageJoiner:
    """Joins the messages of one stream; holds at most one, of ``max_message_bytes``."""

    __slots__ = ("_max_message_bytes", "_missing", "_parts", "_prefix")

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._prefix = b""
        self._parts: list[bytes | memoryview] = []
        #: Bytes that the message still needs; -1 between two messages.
        self._missing = -1

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a message."""
        return self._missing < 0 and not self._prefix

    def feed(self, data: bytes, start: int, stop: int) -> list[bytes]:
        """Take ``data[start:stop]`` and return the messages that are complete with it.

        :raises MessageFault: a message is too large or compressed.
        """
        if self._prefix:
            data = self._prefix + data[start:stop]
            start, stop = 0, len(data)
        messages: list[bytes] = []
        while True:
            if self._missing < 0:
                if stop - start < PREFIX_BYTES:
                    self._prefix = data[start:stop]
                    return messages
                self._prefix = b""
                self._missing = self._length(data, start)
                start += PREFIX_BYTES
            end = min(stop, start + self._missing)
            self._missing -= end - start
            if self._missing:
                self._keep(data, start, end)
                return messages
            if self._parts:
                self._keep(data, start, end)
                messages.append(b"".join(self._parts))
                self._parts = []
            else:
                messages.append(data[start:end])
            self._missing = -1
            start = end

    def _keep(self, data: bytes, start: int, end: int) -> None:
        # A view spares a copy, but keeps all of ``data``, which a small part is not worth.
        part = data[start:end] if end - start < _SMALL_BYTES else memoryview(data)[start:end]
        self._parts.append(part)

    def _length(self, data: bytes, start: int) -> int:
        if data[start]:
            raise MessageFault(INTERNAL, "a compressed message, which was not agreed upon")
        length = int.from_bytes(data[start + 1 : start + PREFIX_BYTES], "big")
        if length > self._max_message_bytes:
            raise MessageFault(
                RESOURCE_EXHAUSTED,
                f"message of {length} bytes, allowed are {self._max_message_bytes}",
            )
        return length
