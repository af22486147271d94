"""A client that goes on as an honest one does, however often it is sent away."""

import os
import time
from struct import unpack_from
from threading import Thread
from typing import Final

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import TransportErrorCode
from gnetway.testing import ClientSession, QuickAck
from gnetway.tl.service_messages import Ping, Pong
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.cluster.node_journal import Talk
from tests.live.gateway import Gateway

#: How many messages are unanswered at a time, and how many a session has if all goes well.
_DEPTH: Final = 4
_MESSAGES: Final = 30

#: Between two messages, and two connections.
_PAUSE_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 0.1


class HonestTalker:
    """Sends pings and wants quick acks of them; on each connection with another session.

    ``talks`` are its connections one after the other, ``codes`` the transport errors that it got,
    which no client of a known key is to get. ``fault`` is what it did not expect.
    """

    def __init__(self, gateway: Gateway, key: AuthKey) -> None:
        self.talks: list[Talk] = []
        self.codes: list[int] = []
        self.fault: BaseException | None = None
        self._gateway = gateway
        self._key = key
        self._tokens: dict[int, int] = {}
        self._going = True
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say nothing more, and wait for what is to be answered; what is not is in the talks."""
        self._going = False
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._going:
                self._talk()
        except TimeoutError:
            pass  # what is not answered is in the talk
        except (Exception, AssertionError) as fault:  # noqa: BLE001 - for whoever looks
            self.fault = fault

    def _talk(self) -> None:
        session = ClientSession(self._key, 1, os.urandom)
        talk = Talk((self._key.auth_key_id, session.session_id), [], set(), set())
        self.talks.append(talk)
        self._tokens.clear()
        with LiveClient(self._gateway) as client:
            try:
                while self._going and len(talk.sent) < _MESSAGES:
                    self._send(client, session, talk)
                    self._hear(client, session, talk, _DEPTH - 1)
                    time.sleep(_PAUSE_SECONDS)
                self._hear(client, session, talk, 0)
            except (LinkEnded, ConnectionError):
                self.talks[-1] = talk._replace(ended=True)
        if self.talks[-1].ended:
            time.sleep(_RETRY_SECONDS)

    def _send(self, client: LiveClient, session: ClientSession, talk: Talk) -> None:
        packet = session.encrypt(Ping(len(talk.sent)).pack(), now())
        talk.sent.append(session.msg_id)
        self._tokens[session.quick_ack_token] = session.msg_id
        client.send(packet, quick_ack=True)

    def _hear(
        self, client: LiveClient, session: ClientSession, talk: Talk, unanswered: int
    ) -> None:
        """Listen until no more than so many messages are unanswered."""
        while len(talk.sent) - len(talk.answered) > unanswered:
            said = client.receive()
            if isinstance(said, QuickAck):
                talk.acked.add(self._tokens.pop(said.token))
            elif len(said) < 8:
                (code,) = unpack_from("<i", said)
                self.codes.append(TransportErrorCode(code))
            else:
                talk.answered.add(Pong.parse(session.decrypt(said).body).msg_id)
