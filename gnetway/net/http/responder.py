"""What answers a request over HTTP, and with which statuses."""

from typing import Final, Protocol

from gnetway.errors import TransportErrorCode

BAD_REQUEST: Final = 400
TOO_LARGE: Final = 413
UNAVAILABLE: Final = 503

#: What a client that is one too many is told to wait, in seconds, on top of what it was kept for.
RETRY_SECONDS: Final = 10


class Responder(Protocol):
    """The HTTP request whose body it is."""

    client_ip: str
    local_ip: str

    def answer(self, body: bytes) -> None:
        """Answer 200 with this body."""

    def refuse(self, status: int) -> None:
        """Answer with a status alone."""

    def refuse_with(self, code: TransportErrorCode) -> None:
        """Answer with a transport error, and close."""

    def refuse_too_many(self, retry_seconds: int) -> None:
        """Answer 429, with the time after which to come again, and close."""

    def pause_reading(self) -> None:
        """Bring no more of the body until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Bring what comes."""
