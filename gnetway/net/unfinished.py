"""Packets of which only a part is here: how long they may take, and what they hold together."""

from collections.abc import Callable
from typing import Final

from gnetway.admission.byte_budget import Holding
from gnetway.net.link_services import LinkServices

#: A packet with no more than this here is not counted, in bytes.
SMALL_BYTES: Final = 16 * 1024


class UnfinishedPacket:
    """One connection's packet that is not whole; another may begin as soon as it is.

    ``abort`` is called, with the cause, where too much of them is here in all connections and this
    one is to go: it must end the connection at once, which frees what is here.
    """

    __slots__ = ("_abort", "_begun", "_client_ip", "_holding", "_services", "late_at")

    def __init__(
        self, services: LinkServices, client_ip: str, abort: Callable[[str], object], now: float
    ) -> None:
        self._services = services
        self._client_ip = client_ip
        self._abort = abort
        self._holding: Holding | None = None
        self.begin(now)

    def begin(self, now: float) -> None:
        """Note that the first bytes of a packet have come; ``now`` in the clock's seconds."""
        self._begun = now
        #: When it is late; what comes of it does not move that.
        self.late_at = now + self._services.limits.packet_seconds

    def grown(self, here: int, size: int) -> None:
        """Note that ``here`` bytes of it are here, of ``size``, 0 while that is not known."""
        services, limits = self._services, self._services.limits
        seconds = limits.packet_seconds + size / limits.packet_bytes_per_second
        self.late_at = self._begun + seconds
        if here <= SMALL_BYTES:
            return
        if self._holding is None:
            account = services.accounts.of(self._client_ip, services.clock.seconds())
            self._holding = services.unfinished.holding(account, self._give_way)
        self._holding.hold(here)

    def _give_way(self) -> None:
        self._abort("unfinished_total")

    def over(self) -> None:
        """Note that it is whole, or its connection gone."""
        holding, self._holding = self._holding, None
        if holding is not None:
            # It knows this object: both are to go now, and not when a collector finds them.
            holding.clear()
