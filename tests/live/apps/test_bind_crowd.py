"""60 binds by 15 clients at once, through a service that keeps one place for each permanent key.

Were they sent under key 0, they would share one place, and push each other's answers out of it.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from gnetway.crypto.auth_key import AuthKey
from gnetway.tl.primitives import Constructor
from tests.live.apps.gateways import (
    GRPCIO_STREAM,
    GRPCIO_UNARY,
    STREAM,
    TWO_NODES,
    TWO_NODES_BY_STREAM,
    UNARY,
    AppCase,
)
from tests.live.apps.proof import LIFETIME_SECONDS, Bind
from tests.live.apps.talk import Talk
from tests.live.apps.wire import AppSession, Ended, Silence, TransportError
from tests.live.client import now
from tests.live.gateway import until

CLIENTS = 15
ROUNDS = 4

#: For an answer to a bind; applications wait about as long.
ANSWER_SECONDS = 8.0


class UnaryBindCrowdTests(AppCase):
    backend = UNARY

    def setUp(self) -> None:
        super().setUp()
        self.service.counts.clear()
        self.perms = [self.new_perm_key() for _ in range(CLIENTS)]
        self.sessions = [self.fresh_temp_keys() for _ in range(CLIENTS)]
        self.together = Barrier(CLIENTS)

    def fresh_temp_keys(self) -> list[AppSession]:
        """Return one for each round; the exchanges are not what is looked at."""
        with self.connect() as line:
            return [self.new_temp_key(line) for _ in range(ROUNDS)]

    def client(self, number: int) -> list[str]:
        """Bind one key after another, each round at the same moment as all others."""
        faults = []
        for session in self.sessions[number]:
            self.together.wait(60)
            if fault := self.bind(self.perms[number], session):
                faults.append(fault)
        return faults

    def bind(self, perm: AuthKey, session: AppSession) -> str:
        with self.connect() as line:
            talk = Talk(line, session, ANSWER_SECONDS)
            msg_id = session.next_msg_id(now())
            expires_at = int(now()) + LIFETIME_SECONDS
            bind = Bind.honest(session.key, perm, session.session_id, msg_id, expires_at)
            try:
                talk.say(bind.call(), msg_id)
                answer = talk.result(msg_id)
                talk.ping()
            except (Ended, Silence, TransportError) as lost:
                return f"{type(lost).__name__} {lost}"
        return str(answer.error or "")

    def test_none_is_lost(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            told = list(pool.map(self.client, range(CLIENTS)))
        self.assertEqual(Counter(fault for faults in told for fault in faults), {})
        self.assertEqual(self.service.counts["dropped"], 0)
        self.assert_named()
        until(self.all_closed, "every session is closed", 20)
        self.assertEqual(self.service.counts["closes refused"], 0)

    def assert_named(self) -> None:
        """Everything of each key, the bind first, has gone out under its own permanent key."""
        for perm, sessions in zip(self.perms, self.sessions, strict=True):
            for session in sessions:
                heard = self.service.by(session.key.auth_key_id)
                self.assertEqual({one.perm_auth_key_id for one in heard}, {perm.auth_key_id})
                data = [one for one in heard if one.method == "data"]
                self.assertIn(Constructor.AUTH_BIND_TEMP_AUTH_KEY, data[0].kinds)
                # One node has all of it, since it goes by the permanent key.
                self.assertEqual(len({one.node for one in heard}), 1)
        self.assert_no_nameless()

    def all_closed(self) -> bool:
        keys = {session.key.auth_key_id for some in self.sessions for session in some}
        closed = {one.auth_key_id for one in self.service.by(*keys) if one.method == "close"}
        return closed == keys


class StreamBindCrowdTests(UnaryBindCrowdTests):
    backend = STREAM


class GrpcioUnaryBindCrowdTests(UnaryBindCrowdTests):
    backend = GRPCIO_UNARY


class GrpcioStreamBindCrowdTests(UnaryBindCrowdTests):
    backend = GRPCIO_STREAM


class TwoNodesBindCrowdTests(UnaryBindCrowdTests):
    backend = TWO_NODES


class TwoNodesByStreamBindCrowdTests(UnaryBindCrowdTests):
    backend = TWO_NODES_BY_STREAM
