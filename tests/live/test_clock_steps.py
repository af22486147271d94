"""The wall clock of a gateway is set while clients of its embedded backend talk."""

import time
from unittest import TestCase

from gnetway.testing import ClientSession
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import (
    BadMsgNotification,
    BadServerSalt,
    ContainedMessage,
    Ping,
    parse_container,
)
from tests.live.client import LiveClient, constructor_of, now
from tests.live.gateway import Gateway
from tests.live.stepped_clock import SteppedClock

HANDSHAKE_SECONDS = 5


class Talk:
    """A client that takes its time, and its salt, from the gateway, as official ones do."""

    def __init__(self, gateway: Gateway) -> None:
        self.client = LiveClient(gateway)
        self.session: ClientSession = self.client.make_key()
        self._ahead = 0.0
        self._pings = 0

    def ask(self) -> tuple[int, float]:
        """Ping until there is a pong; returns how often, and how far it is ahead of our clock."""
        for tried in range(1, 5):
            self._pings += 1
            ping = Ping(self._pings).pack()
            self.client.send(self.session.encrypt(ping, now() + self._ahead))
            if (ahead := self._answered()) is not None:
                return tried, ahead
        raise AssertionError("asked four times, and no answer")

    def _answered(self) -> float | None:
        """Hear until the ping is answered, or is to be sent again (None)."""
        while True:
            packet = self.client.receive()
            assert isinstance(packet, bytes) and len(packet) >= 8, packet
            said = self.session.decrypt(packet)
            for message in _messages(said.msg_id, said.body):
                kind = constructor_of(message.body)
                ahead = (message.msg_id >> 32) - now()
                if kind == Constructor.PONG:
                    return ahead
                if kind == Constructor.BAD_MSG_NOTIFICATION:
                    assert BadMsgNotification.parse(message.body).error_code in (16, 17)
                    self._ahead, self.session.msg_id = ahead, 0
                    return None
                if kind == Constructor.BAD_SERVER_SALT:
                    self.session.salt = BadServerSalt.parse(message.body).new_server_salt
                    return None


def _messages(msg_id: int, body: bytes) -> list[ContainedMessage]:
    if constructor_of(body) != Constructor.MSG_CONTAINER:
        return [ContainedMessage(msg_id, 0, body)]
    return [ContainedMessage(one.msg_id, 0, one.body) for one in parse_container(body, 1024)]


class StepTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway({"HandshakeSeconds": HANDSHAKE_SECONDS})
        self.addCleanup(self.gateway.remove)
        self.clock = SteppedClock(self.gateway.folder)
        self.addCleanup(self.clock.close)
        self.gateway.environment |= self.clock.environment
        self.gateway.start()
        self.ahead = 0.0

    def talks_on(self, step: float) -> None:
        """Set the clock; a client that talks and one that is quiet go on by the new time."""
        talkers = [Talk(self.gateway) for _ in range(2)]
        for talker in talkers:
            self.addCleanup(talker.client.socket.close)
            talker.ask()
            talker.ask()
        self.clock.step(step)
        self.ahead += step
        for seconds, talker in ((0, talkers[0]), (3, talkers[1])):
            time.sleep(seconds)
            for most in (3, 1, 1):
                tried, ahead = talker.ask()
                self.assertLessEqual(tried, most)
                self.assertLess(abs(ahead - self.ahead), 25)

    def test_forward_by_less_than_a_minute(self) -> None:
        self.talks_on(20)

    def test_forward_by_an_hour(self) -> None:
        self.talks_on(3600)

    def test_back_by_a_minute(self) -> None:
        self.talks_on(-60)

    def test_back_by_an_hour(self) -> None:
        self.talks_on(-3600)
        with LiveClient(self.gateway) as silent:
            silent.socket.settimeout(4 * HANDSHAKE_SECONDS)
            self.assertTrue(silent.ended())

    def test_forward_and_back_again(self) -> None:
        self.talks_on(3600)
        self.talks_on(-3600)
        self.talks_on(3600)
