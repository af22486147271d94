"""Telegram for Android, from its first key on, against each backend."""

import time

from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import TransportErrorCode
from gnetway.testing import Wish
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import RpcResult
from tests.live.apps.android import (
    DC,
    Phone,
    ack,
    container_of_acks,
    go_online,
    temporary_wish,
)
from tests.live.apps.gateways import (
    EMBEDDED,
    GRPCIO_STREAM,
    GRPCIO_UNARY,
    STREAM,
    UNARY,
    AppCase,
)
from tests.live.apps.handler import NAME_CALL, name_in
from tests.live.apps.talk import Talk
from tests.live.apps.wire import TransportError
from tests.live.client import now


class AndroidTests(AppCase):
    backend = EMBEDDED

    def phone(self, joined: bool = True) -> Phone:
        return Phone(self.gateway.port, self.gateway.rsa, joined=joined)

    def assert_named(self, phone: Phone, talk: Talk) -> None:
        """The key speaks in the phone's name, and nothing of it went out in another."""
        assert phone.perm is not None
        result = talk.ask(NAME_CALL)
        self.assertIsNone(result.error)
        self.assertEqual(name_in(RpcResult.parse(result.body).result), phone.perm.auth_key_id)
        names = {heard.perm_auth_key_id for heard in self.service.by(talk.session.key.auth_key_id)}
        self.assertEqual(names, {phone.perm.auth_key_id} if self.backend.remote else set())

    def test_from_nothing_to_its_first_call(self) -> None:
        """An ack behind each answer, in one segment with what follows it, or alone."""
        for joined in (True, False):
            with self.subTest(joined=joined):
                phone = self.phone(joined)
                with phone.dial() as line:
                    phone.make_perm_key(line)
                    talk = phone.temporary(line)
                    go_online(talk)
                    self.assert_named(phone, talk)
        self.assert_no_nameless()

    def test_a_container_of_acks(self) -> None:
        phone = self.phone()
        phone.make_ack = container_of_acks
        with phone.dial() as line:
            phone.make_perm_key(line)
            go_online(phone.temporary(line))

    def test_a_media_key(self) -> None:
        """On a connection of its own, whose dc is negative, as in the inner data."""
        phone = self.phone()
        with phone.dial() as line, phone.dial(media=True) as media_line:
            phone.make_perm_key(line)
            go_online(phone.temporary(line))
            talk = phone.temporary(media_line, media=True)
            self.assert_named(phone, talk)
        if self.backend.remote:
            kinds = [heard.key_type for heard in self.service.by(talk.session.key.auth_key_id)]
            self.assertEqual(set(kinds), {KeyKind.MEDIA_TEMP.value})

    def test_a_new_temporary_key_on_the_live_link(self) -> None:
        """Two beginnings leave in one segment, and the first of them is forgotten."""
        phone = self.phone()
        with phone.dial() as line:
            phone.make_perm_key(line)
            old = phone.temporary(line)
            go_online(old)
            new = phone.temporary(line, anew=True)
            self.assertEqual(phone.stale_answers, 0)
            go_online(new)
            self.assert_named(phone, new)

    def test_an_expired_temporary_key(self) -> None:
        """-404 is its proof; the phone dials anew, and the next key has the same name."""
        phone = self.phone()
        with phone.dial() as line:
            phone.make_perm_key(line)
            short = phone.bind(line, *phone.exchange(line, Wish(dc=DC, expires_in=2)))
            time.sleep(2.5)
            with self.assertRaises(TransportError) as told:
                short.ping()
            self.assertEqual(told.exception.code, TransportErrorCode.KEY_UNKNOWN)
        with phone.dial() as line:
            self.assert_named(phone, phone.temporary(line, anew=True))

    def test_an_ack_of_something_older(self) -> None:
        """A retransmitted answer is acknowledged too, whatever was said meanwhile."""
        phone = self.phone()
        with phone.dial() as line:
            phone.make_perm_key(line)
            made, last_ack = phone.exchange(line, temporary_wish())
            line.send(last_ack, last_ack, phone.plain(ack(int(now()) << 32 | 1)))
            talk = phone.bind(line, made, last_ack)
            talk.ping()
        self.assertIn(Constructor.PONG, talk.kinds())


class UnaryAndroidTests(AndroidTests):
    backend = UNARY


class StreamAndroidTests(AndroidTests):
    backend = STREAM


class GrpcioUnaryAndroidTests(AndroidTests):
    backend = GRPCIO_UNARY


class GrpcioStreamAndroidTests(AndroidTests):
    backend = GRPCIO_STREAM
