"""Telegram for iOS and macOS, from its first key on, against each backend."""

from gnetway.crypto.auth_key import KeyKind
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import RpcResult
from tests.live.apps.android import GET_CONFIG
from tests.live.apps.gateways import (
    EMBEDDED,
    GRPCIO_STREAM,
    GRPCIO_UNARY,
    STREAM,
    UNARY,
    AppCase,
)
from tests.live.apps.handler import NAME_CALL, name_in
from tests.live.apps.ios import PERM, TEMP, Phone
from tests.live.apps.talk import Talk
from tests.live.apps.wire import with_layer

HOUR = 3600
DAY = 24 * HOUR


class IosTests(AppCase):
    backend = EMBEDDED

    def phone(self, ahead_seconds: int = 0) -> Phone:
        return Phone(self.gateway.port, self.gateway.rsa, ahead_seconds)

    def go_online(self, phone: Phone, media: bool = False) -> Talk:
        """Make the keys, learn salt and time, bind, call: the phone's whole way in."""
        with phone.dial(media) as line:
            if phone.perm is None:
                phone.make_perm_key(line)
            talk = phone.learn(line, phone.begin(TEMP).finish(line))
            # Nothing of an unbound key goes to a backend.
            self.assertEqual(self.service.by(talk.session.key.auth_key_id), [])
            phone.bind(talk)
            self.assertIsNone(phone.ask(talk, with_layer(GET_CONFIG)).error)
            self.assert_named(phone, talk)
        return talk

    def assert_named(self, phone: Phone, talk: Talk) -> None:
        assert phone.perm is not None
        result = phone.ask(talk, NAME_CALL)
        self.assertIsNone(result.error)
        self.assertEqual(name_in(RpcResult.parse(result.body).result), phone.perm.auth_key_id)
        names = {heard.perm_auth_key_id for heard in self.service.by(talk.session.key.auth_key_id)}
        self.assertEqual(names, {phone.perm.auth_key_id} if self.backend.remote else set())

    def test_a_clock_that_is_right(self) -> None:
        """The salt is told by bad_server_salt, once, and then the ping is answered."""
        phone = self.phone()
        talk = self.go_online(phone)
        self.assertEqual(phone.notices, [48])
        self.assertIn(Constructor.NEW_SESSION_CREATED, talk.kinds())
        self.assert_no_nameless()

    def test_a_clock_two_hours_ahead(self) -> None:
        phone = self.phone(2 * HOUR)
        self.go_online(phone)
        self.assertIn(17, phone.notices)
        self.assertAlmostEqual(phone.difference, -2 * HOUR, delta=5)
        self.assertLessEqual(len(phone.notices), 3)

    def test_a_clock_two_hours_behind(self) -> None:
        phone = self.phone(-2 * HOUR)
        self.go_online(phone)
        self.assertIn(16, phone.notices)
        self.assertAlmostEqual(phone.difference, 2 * HOUR, delta=5)
        self.assertLessEqual(len(phone.notices), 3)

    def test_a_clock_three_days_off(self) -> None:
        """The expiry counts the difference twice, so it has passed, or is days away."""
        for ahead in (3 * DAY, -3 * DAY):
            with self.subTest(days=ahead // DAY):
                self.go_online(self.phone(ahead))

    def test_a_media_key(self) -> None:
        """The header's dc alone tells it, as the inner data have none."""
        phone = self.phone()
        self.go_online(phone)
        talk = self.go_online(phone, media=True)
        if self.backend.remote:
            (made,) = [
                heard
                for heard in self.service.heard
                if (heard.method, heard.auth_key_id) == ("set", talk.session.key.auth_key_id)
            ]
            self.assertEqual(made.key_type, KeyKind.MEDIA_TEMP)
            kinds = {heard.key_type for heard in self.service.by(talk.session.key.auth_key_id)}
            self.assertEqual(kinds, {KeyKind.MEDIA_TEMP.value})

    def test_the_next_key_of_the_day(self) -> None:
        """Another temporary key for the same permanent one; the salt is learnt for it too."""
        phone = self.phone()
        first, second = self.go_online(phone), self.go_online(phone)
        self.assertNotEqual(first.session.key.auth_key_id, second.session.key.auth_key_id)
        self.assertEqual(phone.notices, [48, 48])


class UnaryIosTests(IosTests):
    backend = UNARY


class StreamIosTests(IosTests):
    backend = STREAM


class GrpcioUnaryIosTests(IosTests):
    backend = GRPCIO_UNARY


class GrpcioStreamIosTests(IosTests):
    backend = GRPCIO_STREAM


class ResumedExchangeTests(AppCase):
    """The phone comes back on another connection, with the same nonces and msg_ids."""

    def phone(self) -> Phone:
        return Phone(self.gateway.port, self.gateway.rsa)

    def test_the_connection_is_lost_behind_an_answer(self) -> None:
        for wish in (PERM, TEMP):
            for lost_after in (1, 2):
                with self.subTest(wish, lost_after=lost_after):
                    phone = self.phone()
                    run = phone.begin(wish)
                    with phone.dial() as line:
                        for _ in range(lost_after):
                            run.step(line)
                    with phone.dial() as line:
                        Talk(line, run.finish(line)).say(GET_CONFIG)

    def test_each_step_on_a_connection_of_its_own(self) -> None:
        phone = self.phone()
        run = phone.begin(PERM)
        while run.query is not None:
            with phone.dial() as line:
                run.step(line)
        self.assertIsNotNone(run.exchange.key)

    def test_the_connection_is_lost_during_the_work(self) -> None:
        """The query has left, its answer never came: it is sent again, byte for byte."""
        for wish in (PERM, TEMP):
            for lost_in in range(3):
                with self.subTest(wish, lost_in=lost_in):
                    phone = self.phone()
                    run = phone.begin(wish)
                    with phone.dial() as line:
                        for _ in range(lost_in):
                            run.step(line)
                        run.send(line)
                    with phone.dial() as line:
                        session = run.finish(line)
                    self.assertEqual(session.key, run.exchange.key)

    def test_it_is_lost_over_and_over(self) -> None:
        phone = self.phone()
        run = phone.begin(TEMP)
        while run.query is not None:
            for _ in range(3):
                with phone.dial() as line:
                    run.send(line)
            with phone.dial() as line:
                run.step(line)
        self.assertIsNotNone(run.exchange.key)

    def test_the_last_answer_is_lost(self) -> None:
        """The key was stored; the same dh_gen_ok comes again."""
        phone = self.phone()
        run = phone.begin(PERM)
        with phone.dial() as line:
            run.step(line)
            run.step(line)
            run.send(line)
            line.packet()
        with phone.dial() as line:
            run.step(line)
        self.assertIsNotNone(run.exchange.key)
