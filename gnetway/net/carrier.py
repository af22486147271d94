"""What carries a client link."""

from typing import Protocol


class Carrier(Protocol):
    """What a link is carried by: a TCP connection, a WebSocket."""

    def write(self, packets: list[bytes]) -> None:
        """Send framed packets to the client, each in a piece of its own where there are pieces."""

    def pause_reading(self) -> None:
        """Bring nothing more until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Bring what comes."""

    def end(self, cause: str, told: bool) -> None:
        """Close once all is written; ``told`` where the client was just told why."""

    def abort(self) -> None:
        """Close now."""
