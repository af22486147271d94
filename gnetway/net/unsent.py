"""What waits for a client that does not read, counted over all connections by network."""

from collections import deque
from collections.abc import Callable
from typing import Final

from gnetway.admission.byte_budget import Holding
from gnetway.crypto.auth_key import AuthKey
from gnetway.net.link_services import LinkServices

#: What a message that is kept takes beside its bytes.
_KEPT_OVERHEAD_BYTES: Final = 128


class Backlog:
    """What waits in one connection; ``clear`` ends it.

    It is there while the client does not read, which is when the transport has paused it, or for
    the rest of a turn of the reactor in which the connection has written its share. Messages are
    kept as they came and encrypted when they can be written: for a client that never reads,
    nothing is done. The transport's part is what was last written to it. Before that it had at
    most 64 KiB, which are not counted.

    ``give_way`` is called when too much waits in all connections and this one is to go.
    """

    __slots__ = ("_give_way", "_holding", "_written_bytes", "is_paused", "kept", "kept_bytes")

    def __init__(self, give_way: Callable[[], object]) -> None:
        self._give_way = give_way
        self._holding: Holding | None = None
        self._written_bytes = 0
        self.is_paused = False
        self.kept: deque[tuple[AuthKey, bytes]] = deque()
        self.kept_bytes = 0

    def keep(self, key: AuthKey, plaintext: bytes) -> None:
        """Take a message, the last to be written."""
        self.kept.append((key, plaintext))
        self.kept_bytes += len(plaintext) + _KEPT_OVERHEAD_BYTES

    def take(self) -> tuple[AuthKey, bytes]:
        """Return the message that is to be written first."""
        kept = self.kept.popleft()
        self.kept_bytes -= len(kept[1]) + _KEPT_OVERHEAD_BYTES
        return kept

    def written(self, size: int) -> None:
        """Note that this many bytes were just written, and are what the client does not read."""
        self._written_bytes = size

    def count(self, services: LinkServices, client_ip: str, waiting_bytes: int = 0) -> None:
        """Count what is here, and the bytes that wait to be written; somebody may have to go."""
        size = self._written_bytes + self.kept_bytes + waiting_bytes
        holding = self._holding
        if holding is None:
            if not size:
                return
            account = services.accounts.of(client_ip, services.clock.seconds())
            holding = self._holding = services.unsent.holding(account, self._give_way)
        holding.hold(size)

    def clear(self) -> None:
        """Note that the client has read, or is gone."""
        holding, self._holding = self._holding, None
        if holding is not None:
            holding.clear()
