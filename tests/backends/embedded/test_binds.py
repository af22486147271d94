"""Binds at the embedded backend, as they come over a connection."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from gnetway.backends.embedded.directory import Done
from gnetway.errors import BackendRefused, BackendUnavailable
from gnetway.testing import ServerMessage
from gnetway.tl.primitives import Constructor, pack_uint32
from tests.backends.embedded.backend_case import PERM, BackendCase, OneClient
from tests.backends.embedded.talk import SALT, UNKNOWN_CALL, errors, results, temp_key
from tests.binds import make_bind
from tests.connection.wrappers import with_layer

TRUE = pack_uint32(Constructor.BOOL_TRUE)


class StoreError(Exception):
    """What goes wrong inside of a store."""


class BindTests(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.key = temp_key(2)
        self.add_key(self.key)
        self.client = self.open(self.key)
        self.ended = self.client.client.ended

    def bind(self, client: OneClient | None = None, number_ahead: int = 4) -> int:
        client = client or self.client
        client.talker.msg_id = max(client.talker.msg_id, int(client.talker.now) << 32)
        msg_id = client.talker.msg_id + number_ahead
        return client.say(make_bind(self.key, PERM, msg_id).pack())

    def stored_perm_id(self) -> int:
        loaded = self.successResultOf(self.store.load(self.key.auth_key_id))
        return loaded.key.perm_auth_key_id

    def test_good_bind(self) -> None:
        msg_id = self.bind()
        self.assertEqual(self.client.done, [None])
        self.assertEqual(results(self.heard()), {msg_id: TRUE})
        self.assertEqual(self.stored_perm_id(), PERM.auth_key_id)

    def test_the_permanent_key_is_used_with_the_temporary_one(self) -> None:
        """It is not dropped as one that never spoke, though it only ever proves binds."""
        self.assertEqual(self.store._keys[PERM.auth_key_id].used_at, 0)
        self.bind()
        self.assertEqual(self.store._keys[PERM.auth_key_id].used_at, self.wall())

    def test_answered_before_the_gateway_goes_on(self) -> None:
        """What stands behind the bind waits there, and is to be answered behind it."""
        heard_at: list[int] = []
        client = self.client
        payload = client.talker.payload(
            make_bind(self.key, PERM, int(client.talker.now) << 32).pack()
        )
        self.target.pushed.clear()

        def done(error: object) -> None:
            heard_at.append(len([1 for *_, text in self.target.pushed if TRUE in text]))

        self.backend.send_data(client.client, SALT, payload, False, done)
        self.assertEqual(heard_at, [1])
        self.assertEqual(list(results(self.heard()).values()), [TRUE])

    def test_calls_after_it_know_the_permanent_key(self) -> None:
        self.bind()
        self.heard()
        self.client.say(UNKNOWN_CALL)
        [call] = self.handler.calls
        self.assertEqual(call.auth_key_id, self.key.auth_key_id)
        self.assertEqual(call.perm_auth_key_id, PERM.auth_key_id)

    def test_call_that_came_while_it_was_decided(self) -> None:
        self.store.slow = True
        bind = self.bind()
        call = self.client.say(UNKNOWN_CALL)
        self.assertEqual((self.client.done, self.handler.calls), ([None], []))
        self.store.answer_all()
        self.assertEqual(self.client.done, [None, None])
        self.assertEqual(results(self.heard()), {bind: TRUE, call: b"done"})

    def test_bind_that_is_not_proved_is_refused_from_here(self) -> None:
        """The gateway has checked the proof before; a key that was bound before comes unchecked."""
        for done in (self.client.done.append, None):
            msg_id = self.bad_bind(done)
            self.assertEqual(errors(self.heard()), {msg_id: (400, "ENCRYPTED_MESSAGE_INVALID")})
            self.assertEqual(self.stored_perm_id(), 0)
            self.assertEqual(self.ended, [])
        self.assertEqual(self.client.done, [None])

    def bad_bind(self, done: Done | None) -> int:
        """Send a bind with the proof of another message; return its msg_id."""
        bad = make_bind(self.key, PERM, self.client.talker.number()[0]).pack()
        payload = self.client.talker.payload(bad)
        self.backend.send_data(self.client.client, SALT, payload, False, done)
        return self.client.talker.msg_id

    def bind_again(self) -> int:
        """Send a good bind as the gateway does for a key that was bound before."""
        msg_id = self.client.talker.number()[0] + 4
        payload = self.client.talker.payload(make_bind(self.key, PERM, msg_id).pack())
        self.backend.send_data(self.client.client, SALT, payload, False, None)
        return msg_id

    def test_unknown_permanent_key(self) -> None:
        self.successResultOf(self.store.remove(PERM.auth_key_id))
        self.bind()
        [error] = self.client.done
        assert isinstance(error, BackendRefused)
        self.assertEqual((error.code, error.text), (400, "ENCRYPTED_MESSAGE_INVALID"))
        self.assertEqual(results(self.heard()), {})

    def test_failing_store_is_no_refusal(self) -> None:
        """ENCRYPTED_MESSAGE_INVALID would make the client throw its key away."""
        self.store.broken = BackendUnavailable("for the test")
        msg_id = self.bind()
        self.assertEqual([type(error) for error in self.client.done], [BackendUnavailable])
        self.assertEqual(results(self.heard()), {})
        self.assertEqual(self.ended, [])
        self.store.broken = None
        self.assertLess(msg_id, self.bind())
        self.assertEqual(results(self.heard()), {self.client.talker.msg_id: TRUE})

    def test_store_that_raises(self) -> None:
        def broken(*_: object) -> object:
            raise StoreError

        for name in ("load", "bind"):
            with self.subTest(name):
                self.setUp()
                setattr(self.store, name, broken)
                self.bind()
                self.assertEqual([type(error) for error in self.client.done], [BackendUnavailable])
                self.assertEqual(len(self.flushLoggedErrors(StoreError)), 1)

    def test_store_that_fails_late(self) -> None:
        late: Deferred[None] = Deferred()
        self.store.binding = late
        self.bind()
        self.assertEqual(self.client.done, [])
        late.errback(StoreError())
        self.assertEqual([type(error) for error in self.client.done], [BackendUnavailable])
        self.assertEqual(len(self.flushLoggedErrors(StoreError)), 1)

    def test_calls_beside_a_bind_that_fails_are_refused(self) -> None:
        self.store.slow = True
        self.bind()
        call = self.client.say(UNKNOWN_CALL)
        self.store.broken = BackendUnavailable("for the test")
        self.store.fail_all()
        self.assertEqual(errors(self.heard()), {call: (401, "AUTH_KEY_PERM_EMPTY")})
        self.assertEqual(self.handler.calls, [])

    def test_bound_key_that_is_bound_again(self) -> None:
        self.bind()
        self.heard()
        self.key.perm_auth_key_id = PERM.auth_key_id
        self.assertEqual(results(self.heard_after(self.bind_again)), {self.asked: TRUE})
        self.assertEqual(self.ended, [])

    def heard_after(self, ask: Callable[[], int]) -> list[ServerMessage]:
        """Return what is said to a request, whose msg_id is in ``asked`` then."""
        self.asked = ask()
        return self.heard()

    def test_bound_key_whose_permanent_key_is_gone(self) -> None:
        self.key.perm_auth_key_id = PERM.auth_key_id
        self.successResultOf(self.store.remove(PERM.auth_key_id))
        messages = self.heard_after(self.bind_again)
        self.assertEqual(errors(messages), {self.asked: (400, "ENCRYPTED_MESSAGE_INVALID")})

    def test_failing_store_at_a_bound_key_ends_its_links(self) -> None:
        """Nobody else hears of the fault; the client comes back and asks again."""
        self.key.perm_auth_key_id = PERM.auth_key_id
        self.store.broken = BackendUnavailable("for the test")
        self.assertEqual(results(self.heard_after(self.bind_again)), {})
        self.assertEqual(self.ended, ["backend_unavailable"])

    def test_calls_that_need_no_login(self) -> None:
        for constructor in (Constructor.HELP_GET_CONFIG, Constructor.HELP_GET_NEAREST_DC):
            msg_id = self.client.say(with_layer(pack_uint32(constructor)))
            messages = self.heard()
            self.assertEqual((list(results(messages)), errors(messages)), ([msg_id], {}))
        call = self.client.say(UNKNOWN_CALL)
        self.assertEqual(errors(self.heard()), {call: (401, "AUTH_KEY_PERM_EMPTY")})

    def test_bind_survives_a_restart(self) -> None:
        self.bind()
        self.backend = self.make_backend()
        found = self.successResultOf(self.backend.query_auth_key(self.key.auth_key_id))
        self.assertEqual(found.perm_auth_key_id, PERM.auth_key_id)
