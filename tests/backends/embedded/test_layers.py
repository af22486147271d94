"""help.getConfig by the layer of the caller's key, however the client has named it."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.key_state import MAX_LAYER, KeyLayer, is_layer
from gnetway.backends.embedded.store import MemoryStore, copy_key
from gnetway.tl.primitives import Constructor, pack_int32, pack_uint32
from tests.backends.embedded.backend_case import PERM, BackendCase, OneClient
from tests.backends.embedded.talk import UNKNOWN_CALL, constructor_of, errors, results, temp_key
from tests.binds import make_bind

GET_CONFIG = pack_uint32(Constructor.HELP_GET_CONFIG)
NOT_INITED = {"error": (400, "CONNECTION_NOT_INITED")}
OLD, NEW = 0x232566AC, 0xCC1A241E


def in_layer(layer: int, body: bytes = GET_CONFIG) -> bytes:
    return pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(layer) + body


class NumberTests(SynchronousTestCase):
    def test_what_a_layer_is(self) -> None:
        self.assertTrue(is_layer(1) and is_layer(229) and is_layer(MAX_LAYER))
        for number in (0, -1, MAX_LAYER + 1, 2**31 - 1, -(2**31)):
            self.assertFalse(is_layer(number), number)

    def test_nothing_is_named_at_first(self) -> None:
        self.assertEqual(KeyLayer(5).number, 0)


class LayerCase(BackendCase):
    """Asks for the config, and starts the backend again."""

    def config(self, client: OneClient, body: bytes) -> object:
        """Return the constructor of the config that answers ``body``, or the error."""
        msg_id = client.say(body)
        messages = self.heard()
        error = errors(messages).get(msg_id)
        return {"error": error} if error else constructor_of(results(messages)[msg_id])

    def restart(self) -> None:
        super().restart()
        # What comes is newer than all that came before.
        self.clock.advance(1)
        self.target.pushed.clear()

    def saves(self) -> list[tuple[int, int]]:
        """Return what the store is told from now on."""
        saved: list[tuple[int, int]] = []

        def save(auth_key_id: int, layer: int) -> Deferred[None]:
            saved.append((auth_key_id, layer))
            return MemoryStore.save_layer(self.store, auth_key_id, layer)

        self.patch(self.store, "save_layer", save)
        return saved


class ConfigByLayerTests(LayerCase):
    def test_by_the_call_itself(self) -> None:
        client = self.open()
        self.assertEqual(self.config(client, in_layer(152)), OLD)
        self.assertEqual(self.config(client, in_layer(155)), NEW)
        self.assertEqual(self.config(client, in_layer(154)), OLD)

    def test_unknown(self) -> None:
        self.assertEqual(self.config(self.open(), GET_CONFIG), NOT_INITED)

    def test_it_stays_until_another_is_named(self) -> None:
        client = self.open()
        client.say(in_layer(152, UNKNOWN_CALL))
        self.assertEqual(self.config(client, GET_CONFIG), OLD)
        client.say(in_layer(214, UNKNOWN_CALL))
        self.assertEqual(self.config(client, GET_CONFIG), NEW)

    def test_in_other_sessions_of_the_key(self) -> None:
        other = self.open(session_id=66)
        self.config(self.open(), in_layer(152))
        self.assertEqual(self.config(other, GET_CONFIG), OLD)
        self.assertEqual(self.config(self.open(session_id=77), GET_CONFIG), OLD)

    def test_not_in_those_of_another_key(self) -> None:
        other = temp_key(9)
        self.add_key(other)
        self.config(self.open(), in_layer(152))
        bound = copy_key(other, other.auth_key_id)
        self.assertEqual(self.config(self.open(bound), GET_CONFIG), NOT_INITED)

    def test_after_a_restart(self) -> None:
        self.config(self.open(), in_layer(152))
        self.restart()
        self.assertEqual(self.config(self.open(), GET_CONFIG), OLD)

    def test_it_is_written_where_it_changes(self) -> None:
        saved = self.saves()
        client, other = self.open(), self.open(session_id=66)
        for layer in (152, 152, 152, 214):
            client.say(in_layer(layer))
            other.say(in_layer(layer))
            other.say(UNKNOWN_CALL)
        self.assertEqual(saved, [(PERM.auth_key_id, 152), (PERM.auth_key_id, 214)])

    def test_handler_hears_it(self) -> None:
        self.open().say(in_layer(152, UNKNOWN_CALL))
        self.open(session_id=66).say(UNKNOWN_CALL)
        self.assertEqual([call.layer for call in self.handler.calls], [152, 152])

    def test_calls_of_a_container_have_their_own(self) -> None:
        client = self.open()
        client.send(client.talker.contain(in_layer(152), in_layer(214), GET_CONFIG, in_layer(153)))
        kinds = [constructor_of(answer) for answer in results(self.heard()).values()]
        self.assertEqual(kinds, [OLD, NEW, OLD, OLD])


class TemporaryKeyTests(LayerCase):
    """Temporary keys, which are bound in the middle of it all."""

    def bind(self, number: int, layer: int = 0) -> OneClient:
        """Open a session of a new temporary key that is bound, by a request in this layer."""
        key = temp_key(number)
        self.add_key(key)
        client = self.open(key)
        msg_id = int(client.talker.now) << 32
        body = make_bind(key, PERM, msg_id).pack()
        self.assertEqual(client.say(in_layer(layer, body) if layer else body), msg_id)
        self.assertEqual(client.done, [None])
        # As the gateway does, whose key it is.
        key.perm_auth_key_id = PERM.auth_key_id
        self.heard()
        return client

    def test_bound_key_has_that_of_the_permanent_one(self) -> None:
        self.config(self.open(), in_layer(152))
        self.assertEqual(self.config(self.bind(2), GET_CONFIG), OLD)
        self.assertEqual(self.config(self.bind(3), GET_CONFIG), OLD)

    def test_what_is_named_with_a_bound_key_is_the_permanent_ones(self) -> None:
        first, second = self.bind(2), self.bind(3)
        self.assertEqual(self.config(first, in_layer(152)), OLD)
        self.assertEqual(self.config(second, GET_CONFIG), OLD)
        self.restart()
        self.assertEqual(self.config(self.open(), GET_CONFIG), OLD)

    def test_what_the_bind_names(self) -> None:
        """Some clients name their layer there and never again."""
        client = self.bind(2, 152)
        self.assertEqual(self.config(client, GET_CONFIG), OLD)
        self.assertEqual(self.config(self.open(), GET_CONFIG), OLD)
        self.restart()
        self.assertEqual(self.config(self.open(), GET_CONFIG), OLD)

    def test_bound_key_after_a_restart(self) -> None:
        self.config(self.open(), in_layer(152))
        key = self.bind(2).key
        self.restart()
        self.assertEqual(self.config(self.open(key, 88), GET_CONFIG), OLD)

    def test_unbound_key_has_its_own(self) -> None:
        key = temp_key(2)
        self.add_key(key)
        client = self.open(key)
        client.say(in_layer(214, UNKNOWN_CALL))
        self.heard()
        self.assertEqual(self.successResultOf(self.store.load(key.auth_key_id)).layer, 214)
        self.assertEqual(self.config(self.open(), GET_CONFIG), NOT_INITED)
