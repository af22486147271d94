"""The wall clock is set forward and back while clients talk."""

from gnetway.backends.embedded.directory import KEPT_SECONDS
from gnetway.backends.embedded.key_state import ROTATION_SECONDS
from gnetway.backends.embedded.received import REMEMBERED_MESSAGES, BadMessage
from gnetway.mtproto.message import MAX_FUTURE_SECONDS
from gnetway.testing import ServerMessage
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import BadServerSalt, Ping, Pong
from tests.backends.embedded.backend_case import PERM, BackendCase, OneClient
from tests.backends.embedded.talk import NOW, SALT, UNKNOWN_CALL, faults, find, kinds, results

PING = Ping(3).pack()


class StepCase(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.salt = SALT

    def say(self, client: OneClient, body: bytes = PING, content_related: bool = True) -> int:
        """Say something and let the client heed what it hears, as official clients do."""
        client.send(client.talker.payload(body, content_related), self.salt)
        return client.talker.msg_id

    def heed(self, client: OneClient, heard: list[ServerMessage]) -> bool:
        """Take a new time or salt; whether the message is to be sent again."""
        for message in heard:
            kind = kinds([message])[0]
            if kind is Constructor.BAD_MSG_NOTIFICATION:
                ((_, code),) = faults([message])
                self.assertIn(code, (BadMessage.MSG_ID_TOO_LOW, BadMessage.MSG_ID_TOO_HIGH))
                client.talker.now = message.msg_id >> 32
                client.talker.msg_id = 0
                return True
            if kind is Constructor.BAD_SERVER_SALT:
                self.salt = BadServerSalt.parse(message.body).new_server_salt
                return True
        return False

    def ask(self, client: OneClient, body: bytes = PING) -> tuple[list[ServerMessage], int]:
        """Ask until there is an answer; returns it, and how often the client had to ask."""
        for tried in range(1, 4):
            self.say(client, body)
            heard = self.heard()
            if not self.heed(client, heard):
                return heard, tried
        raise AssertionError("asked three times, and no answer")

    def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.client.talker.now += seconds


class StepTests(StepCase):
    def test_back_by_a_little(self) -> None:
        """Msg_ids grow on, and nobody notices."""
        last = max(message.msg_id for message in self.ask(self.client)[0])
        self.wall.step(-9)
        for _ in range(3):
            self.passes(1)
            heard, tried = self.ask(self.client)
            self.assertEqual(tried, 1)
            self.assertGreater(min(message.msg_id for message in heard), last)
            last = max(message.msg_id for message in heard)

    def test_back(self) -> None:
        """The client is told the right time, shows that it is no recording, and talks on."""
        for back in (31, 60, 3600, 86_400):
            self.setUp()
            self.ask(self.client)
            self.passes(5)
            self.ask(self.client)
            self.wall.step(-back)
            self.passes(1)
            heard, tried = self.ask(self.client)
            self.assertLessEqual(tried, 3)
            self.assertEqual(kinds(heard), [Constructor.PONG])
            for message in heard:
                self.assertLess(abs((message.msg_id >> 32) - self.wall()), 2)
            for _ in range(10):
                self.passes(5)
                self.assertEqual(self.ask(self.client)[1], 1)

    def test_pushes_have_the_time_of_now(self) -> None:
        self.ask(self.client)
        self.wall.step(-3600)
        for _ in range(3):
            self.passes(1)
            self.backend.sessions.push(
                PERM.auth_key_id, self.client.client.session_id, pack_uint32(Constructor.BOOL_TRUE)
            )
            (pushed,) = self.heard()
            self.assertLess(abs((pushed.msg_id >> 32) - self.wall()), 2)

    def test_back_after_more_messages_than_are_remembered(self) -> None:
        for _ in range(4 * REMEMBERED_MESSAGES):
            self.say(self.client)
        self.heard()
        self.wall.step(-3600)
        self.assertEqual(kinds(self.ask(self.client)[0]), [Constructor.PONG])
        self.assertEqual(self.ask(self.client)[1], 1)

    def test_another_salt_is_asked_for_at_its_time_only(self) -> None:
        self.ask(self.client)
        self.wall.step(-3600)
        self.ask(self.client)
        asked = 0
        for _ in range(0, 7200, 60):
            self.passes(60)
            asked += self.ask(self.client)[1] - 1
        self.assertLessEqual(asked, 7200 // ROTATION_SECONDS + 1)

    def test_recorded_messages_are_not_taken_again(self) -> None:
        """Neither at once, nor when the clock comes by their time a second time."""
        recorded = []
        for _ in range(20):
            self.passes(10)
            recorded.append(self.client.talker.payload(UNKNOWN_CALL))
            self.client.send(recorded[-1], self.salt)
        self.assertEqual(len(self.handler.calls), 20)
        self.wall.step(-120)
        self.ask(self.client)
        self.ask(self.client)
        for _ in range(60):
            self.passes(10)
            for payload in recorded:
                self.client.send(payload, SALT)
                self.client.send(payload, self.salt)
            self.heard()
        self.assertEqual(len(self.handler.calls), 20)

    def test_answers_of_before_can_be_asked_for_again(self) -> None:
        call = self.client.talker.payload(UNKNOWN_CALL)
        self.client.send(call, self.salt)
        msg_id = self.client.talker.msg_id
        (answered,) = results(self.heard()).values()
        self.wall.step(-MAX_FUTURE_SECONDS + 5)
        self.passes(1)
        # Its time was taken from elsewhere: nobody has refused it.
        self.client.talker.now = self.wall()
        self.client.talker.msg_id = 0
        self.ask(self.client)
        self.client.send(call, self.salt)
        self.assertEqual(results(self.heard()), {msg_id: answered})
        self.assertEqual(len(self.handler.calls), 1)

    def test_forward(self) -> None:
        self.ask(self.client)
        for ahead in (20, 3600):
            self.wall.step(ahead)
            heard, tried = self.ask(self.client)
            self.assertLessEqual(tried, 3)
            self.assertEqual(Pong.parse(find(heard, Constructor.PONG)).ping_id, 3)
            self.assertEqual(self.ask(self.client)[1], 1)

    def test_a_client_that_is_away_is_waited_for_by_the_other_clock(self) -> None:
        self.ask(self.client)
        for step in (86_400, -86_400):
            self.client.come_back()
            live = self.client.client.backend_state
            self.backend.close_session(self.client.client)
            self.wall.step(step)
            self.clock.advance(KEPT_SECONDS - 1)
            self.open(session_id=9).come_back()
            self.backend.open_session(self.client.client)
            self.assertIs(self.client.client.backend_state, live)

    def test_what_has_left_is_not_taken_again(self) -> None:
        call = self.client.talker.payload(UNKNOWN_CALL)
        self.client.send(call, self.salt)
        self.backend.close_session(self.client.client)
        self.clock.advance(KEPT_SECONDS + 1)
        self.open(session_id=9).come_back()
        self.assertEqual(len(self.backend._directory.all_known()), 1)
        self.wall.step(NOW - self.wall())
        self.heard()
        self.open().send(call, SALT)
        self.assertEqual(kinds(self.heard()), [Constructor.BAD_SERVER_SALT])
        self.assertEqual(len(self.handler.calls), 1)
