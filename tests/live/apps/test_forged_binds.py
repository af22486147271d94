"""A bind without proof is refused, whatever the backend says, and nothing goes out in her name."""

from gnetway.crypto.auth_key import AuthKey
from gnetway.tl.service_messages import RpcResult
from tests.live.apps.forgeries import FORGERIES, Forgery, Scene
from tests.live.apps.gateways import (
    EMBEDDED,
    GRPCIO_STREAM,
    GRPCIO_UNARY,
    STREAM,
    UNARY,
    AppCase,
)
from tests.live.apps.handler import NAME_CALL, name_in
from tests.live.apps.keys import make_key
from tests.live.apps.proof import LIFETIME_SECONDS, REFUSED, Bind
from tests.live.apps.talk import Talk
from tests.live.apps.wire import (
    HTTP,
    TCP,
    WEBSOCKET,
    Ended,
    Message,
    Silence,
    TransportError,
)
from tests.live.apps.wrappings import WRAPPINGS, Wrapping, alone
from tests.live.client import now

#: For a refusal, which may be let wait a little.
PATIENCE_SECONDS = 5.0

#: Whoever sends one may be let wait, but is answered or hung up on in time.
LOST = (Ended, Silence, TransportError)


class ForgedBindTests(AppCase):
    backend = EMBEDDED
    #: Transports on which each forgery is tried; the wrappings are tried on all.
    ways: tuple[str, ...] = (TCP, WEBSOCKET, HTTP)

    def setUp(self) -> None:
        super().setUp()
        self.victim = self.new_perm_key()
        self.own = self.new_perm_key()
        with self.connect() as line:
            self.other_temp = self.new_temp_key(line).key

    def scene(self, talk: Talk, victim: AuthKey | None = None) -> Scene:
        session = talk.session
        msg_id = session.next_msg_id(now())
        expires_at = int(now()) + LIFETIME_SECONDS
        honest = Bind.honest(
            session.key, victim or self.victim, session.session_id, msg_id, expires_at
        )
        return Scene(honest, self.own, self.other_temp)

    # -- what has to hold ----------------------------------------------------------------------

    def faults_of(self, way: str, forge: Forgery, wrap: Wrapping) -> list[str]:
        """Try a forgery with a temporary key of its own, and return what went wrong."""
        with self.connect(way) as line:
            talk = Talk(line, self.new_temp_key(line), PATIENCE_SECONDS)
            scene = self.scene(talk)
            wrap(talk, forge(scene), scene.honest.msg_id)
            faults = self.not_refused(talk, scene.honest.msg_id)
            faults += self.named_afterwards(talk)
        faults += [
            f"{heard.method} {heard.kinds} forwarded as {heard.perm_auth_key_id}"
            for heard in self.service.by(talk.session.key.auth_key_id)
        ]
        return faults

    def not_refused(self, talk: Talk, msg_id: int) -> list[str]:
        try:
            error = talk.result(msg_id).error
        except LOST as lost:
            return [f"{type(lost).__name__} {lost} instead of a refusal"]
        return [] if error == REFUSED else [f"{error} instead of a refusal"]

    def named_afterwards(self, talk: Talk) -> list[str]:
        """Call with the key that was not bound: no name may be told."""
        try:
            result = talk.ask(NAME_CALL)
        except LOST as lost:
            return [f"{type(lost).__name__} {lost} behind the refusal"]
        return [] if result.error else [f"speaks as {told(result)}"]

    def assert_refused(self, ways: tuple[str, ...], wrap: Wrapping, *names: str) -> None:
        wrong = {}
        for way in ways:
            for name in names:
                if faults := self.faults_of(way, FORGERIES[name], wrap):
                    wrong[f"{way}: {name}"] = faults
        self.assertEqual(wrong, {})
        self.assert_no_nameless()
        self.assertEqual(
            [heard for heard in self.service.heard if self.in_her_name(heard.perm_auth_key_id)], []
        )

    def in_her_name(self, perm_auth_key_id: int) -> bool:
        return perm_auth_key_id == self.victim.auth_key_id

    # -- the tests -----------------------------------------------------------------------------

    def test_every_forgery(self) -> None:
        self.assert_refused(self.ways, alone, *FORGERIES)

    def test_every_wrapping(self) -> None:
        """Random bytes, and the victim's own proof for something else."""
        for name, wrap in WRAPPINGS.items():
            with self.subTest(name):
                self.assert_refused(
                    (TCP, WEBSOCKET, HTTP), wrap, "random bytes", "for another session"
                )

    def test_with_a_permanent_key(self) -> None:
        """A permanent key has its name already: whatever the backend says, it keeps that."""
        for way in (TCP, WEBSOCKET, HTTP):
            with self.subTest(way), self.connect(way) as line:
                talk = Talk(line, make_key(line, self.gateway.rsa), PATIENCE_SECONDS)
                scene = self.scene(talk)
                talk.say(scene.honest.call(), scene.honest.msg_id)
                if self.backend == EMBEDDED:
                    self.assertEqual(self.not_refused(talk, scene.honest.msg_id), [])
                own = talk.session.key.auth_key_id
                result = talk.ask(NAME_CALL)
                self.assertIsNone(result.error)
                self.assertEqual(told(result), own)
                names = {heard.perm_auth_key_id for heard in self.service.by(own)}
                self.assertLessEqual(names, {own})

    def test_a_proof_that_was_used(self) -> None:
        """A bind that was accepted says nothing for another session of the same key."""
        for way in (TCP, HTTP):
            with self.subTest(way), self.connect(way) as line:
                session = self.new_temp_key(line)
                first = Talk(line, session)
                scene = self.scene(first)
                first.say(scene.honest.call(), scene.honest.msg_id)
                self.assertIsNone(first.result(scene.honest.msg_id).error)
            with self.connect(way) as line:
                stranger = Talk(line, self.new_temp_key(line), PATIENCE_SECONDS)
                stranger.say(scene.honest.call(), scene.honest.msg_id)
                self.assertEqual(self.not_refused(stranger, scene.honest.msg_id), [])
                self.assertEqual(self.service.by(stranger.session.key.auth_key_id), [])


def told(result: Message) -> int:
    return name_in(RpcResult.parse(result.body).result)


class UnaryForgedBindTests(ForgedBindTests):
    backend = UNARY


class StreamForgedBindTests(ForgedBindTests):
    backend = STREAM
    ways = (TCP,)


class GrpcioUnaryForgedBindTests(ForgedBindTests):
    backend = GRPCIO_UNARY
    ways = (TCP,)


class GrpcioStreamForgedBindTests(ForgedBindTests):
    backend = GRPCIO_STREAM
    ways = (TCP,)
