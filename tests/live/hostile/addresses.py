"""Who attacks and who pings beside it: all of 127.0.0.0/8 is this machine."""

import socket
import time
from threading import Event, Thread
from typing import Self

from tests.live.client import LiveClient
from tests.live.gateway import PATIENCE_SECONDS, Gateway, until
from tests.live.web.listeners import dial

ATTACKER = "127.0.0.2"
VICTIM = "127.0.0.3"


def client_at(gateway: Gateway, source: str) -> LiveClient:
    """Return a client at an address."""
    return LiveClient(gateway, over=dial(gateway.port, source))


def is_closed(connected: socket.socket, seconds: float) -> bool:
    """Return whether the gateway closes a connection within so many seconds, saying nothing."""
    connected.settimeout(seconds)
    try:
        return connected.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


class Victim:
    """A client that pings all the time, each time when it has its pong.

    ``gaps`` has the seconds that it waited for each.
    """

    def __init__(self, gateway: Gateway, pause_seconds: float = 0.0) -> None:
        self.gaps: list[float] = []
        self._pause_seconds = pause_seconds
        self._client = client_at(gateway, VICTIM)
        self._session = self._client.make_key()
        self._over = Event()
        self._thread = Thread(target=self._ping, daemon=True)

    def _ping(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            self._client.ping(self._session, self.pongs)
            self.gaps.append(time.monotonic() - begun)
            if self._pause_seconds:
                self._over.wait(self._pause_seconds)

    @property
    def pongs(self) -> int:
        """How many it has had."""
        return len(self.gaps)

    def await_pongs(self, count: int) -> None:
        """Wait for so many more."""
        before = self.pongs
        until(lambda: self.pongs > before + count, "pongs")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "a ping without a pong"
        self._client.socket.close()
