"""Clients that talk all the time, and know afterwards what was answered."""

import time
from threading import Thread

from gnetway.testing import ClientSession
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping, Pong
from tests.live.client import LiveClient, constructor_of, now
from tests.live.gateway import Gateway


class Talker:
    """One connection that sends pings; at most ``depth`` are unanswered at a time.

    ``sent`` are msg_ids in their order; ``answered`` those of them that have their pong.
    """

    def __init__(
        self, gateway: Gateway, session: ClientSession, depth: int = 4, pause: float = 0.03
    ) -> None:
        self.session = session
        self.sent: list[int] = []
        self.answered: set[int] = set()
        self.fault: BaseException | None = None
        self._client = LiveClient(gateway)
        self._depth = depth
        self._pause = pause
        self._going = True
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def name(self) -> tuple[int, int]:
        """auth_key_id and session_id."""
        return self.session.key.auth_key_id, self.session.session_id

    def stop(self) -> None:
        """Say nothing more; returns when all is answered, or raises what went wrong."""
        self._going = False
        self._thread.join()
        if self.fault is not None:
            raise self.fault

    def hush(self) -> None:
        """Say nothing more, whatever becomes of what is unanswered."""
        self._going = False

    def _run(self) -> None:
        try:
            with self._client:
                while self._going:
                    self._send()
                    while len(self.sent) - len(self.answered) >= self._depth:
                        self._hear()
                    time.sleep(self._pause)
                while len(self.answered) < len(self.sent):
                    self._hear()
        except (Exception, AssertionError) as fault:  # noqa: BLE001 - told by stop()
            self.fault = fault

    def _send(self) -> None:
        packet = self.session.encrypt(Ping(len(self.sent)).pack(), now())
        self.sent.append(self.session.msg_id)
        self._client.send(packet)

    def _hear(self) -> None:
        packet = self._client.receive()
        assert isinstance(packet, bytes) and len(packet) >= 8, packet
        body = self.session.decrypt(packet).body
        assert constructor_of(body) == Constructor.PONG, body[:4].hex()
        self.answered.add(Pong.parse(body).msg_id)
