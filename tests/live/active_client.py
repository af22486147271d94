"""A client that calls all the time and waits for each answer, through whatever its gateway does."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import TestCase

from gnetway.testing import ClientSession
from tests.live.client import LinkEnded, LiveClient
from tests.live.gateway import PATIENCE_SECONDS, until

#: From an answer to the next call.
PAUSE_SECONDS = 0.05


class ActiveClient(threading.Thread):
    """Comes back with its session when it is sent away, and asks again what was not answered.

    ``connect`` makes a connection, ``begin`` the session on the first one; ``call`` asks something,
    with the number of what was answered before, and returns with the answer.
    """

    def __init__(
        self,
        connect: Callable[[], LiveClient],
        begin: Callable[[LiveClient], ClientSession],
        call: Callable[[LiveClient, ClientSession, int], None],
    ) -> None:
        super().__init__(daemon=True)
        self._connect = connect
        self._begin = begin
        self._call = call
        self.over = threading.Event()
        self.answered = 0
        self.connections = 0
        self.error = ""

    def run(self) -> None:
        """Call until it is over; whatever goes wrong is the end of it, and is kept."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            self.error = repr(error)

    def _run(self) -> None:
        client = self._connected()
        session = self._begin(client)
        while not self.over.is_set():
            try:
                self._call(client, session, self.answered)
            except (LinkEnded, BrokenPipeError):
                client.socket.close()
                client = self._connected()
            else:
                self.answered += 1
                time.sleep(PAUSE_SECONDS)
        client.socket.close()

    def _connected(self) -> LiveClient:
        client = self._connect()
        client.socket.settimeout(PATIENCE_SECONDS)
        self.connections += 1
        return client


@contextmanager
def active(case: TestCase, clients: list[ActiveClient]) -> Iterator[None]:
    """Have clients call, from before the block until all have had answers after it.

    Each is sent away once within it, and nothing may go wrong for any.
    """
    for client in clients:
        client.start()
        case.addCleanup(client.over.set)
    _await_answers(clients)
    yield
    _await_answers(clients)
    for client in clients:
        client.over.set()
    for client in clients:
        client.join(PATIENCE_SECONDS)
    case.assertEqual([client.error for client in clients if client.error], [])
    case.assertEqual({client.connections for client in clients}, {2})


def _await_answers(clients: list[ActiveClient]) -> None:
    wanted = [client.answered + 3 for client in clients]

    def served() -> bool:
        return all(
            client.error or client.answered >= number
            for client, number in zip(clients, wanted, strict=True)
        )

    until(served, "all are answered")
