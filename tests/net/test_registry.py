"""Sessions and the connections that hold them."""

from hypothesis import given
from hypothesis.strategies import integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import ProtocolError
from gnetway.interfaces import IPushTarget
from gnetway.net.registry import SessionRegistry
from gnetway.net.session import Session
from tests.fakes import FakeBackend, FakeKeys, some_key

KEY = some_key(1)


class FakeLink:
    def __init__(
        self, client_ip: str = "127.0.0.1", local_ip: str = "127.0.0.1", dc_id: int = 0
    ) -> None:
        self.dc_id = dc_id
        self.client_ip = client_ip
        self.local_ip = local_ip
        self.got: list[bytes] = []
        self.ended: list[str] = []
        self.held = 0
        self.ending = False

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        if not self.ending:
            self.got.append(plaintext)
        return not self.ending

    def end(self, cause: str) -> None:
        self.ended.append(cause)

    def fail(self, error: ProtocolError) -> None:
        self.ended.append(str(error.code_to_tell()))

    def key_gone(self, key: AuthKey) -> None:
        self.ended.append(f"key {key.auth_key_id} gone")

    def session_paused(self) -> None:
        self.held += 1

    def session_resumed(self) -> None:
        self.held -= 1


class SessionRegistryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.backend, self.keys = FakeBackend(), FakeKeys()
        self.registry = SessionRegistry(self.backend, self.keys)

    def test_it_provides_the_interface(self) -> None:
        verifyObject(IPushTarget, self.registry)

    def test_a_push_goes_to_the_newest_connection(self) -> None:
        old, new = FakeLink(), FakeLink()
        self.registry.join(KEY, 7, old)
        session = self.registry.join(KEY, 7, new)
        self.assertTrue(self.registry.push(KEY.auth_key_id, 7, b"one"))
        self.registry.leave(session, new)
        self.assertTrue(self.registry.push(KEY.auth_key_id, 7, b"two"))
        self.assertEqual((old.got, new.got), ([b"two"], [b"one"]))

    def test_a_push_passes_over_connections_that_end(self) -> None:
        old, new = FakeLink(), FakeLink()
        self.registry.join(KEY, 7, old)
        self.registry.join(KEY, 7, new)
        new.ending = True
        self.assertTrue(self.registry.push(KEY.auth_key_id, 7, b"one"))
        old.ending = True
        self.assertFalse(self.registry.push(KEY.auth_key_id, 7, b"two"))
        self.assertEqual((old.got, new.got), ([b"one"], []))

    def test_a_push_for_nobody_says_so(self) -> None:
        self.registry.join(KEY, 7, FakeLink())
        self.assertFalse(self.registry.push(KEY.auth_key_id, 8, b"x"))
        self.assertFalse(self.registry.push(KEY.auth_key_id + 1, 7, b"x"))

    def test_a_session_is_held_while_a_connection_is_there(self) -> None:
        link = FakeLink()
        link.ending = True
        session = self.registry.join(KEY, 7, link)
        self.assertFalse(self.registry.push(KEY.auth_key_id, 7, b"x"))
        self.assertTrue(self.registry.holds(KEY.auth_key_id, 7))
        self.registry.leave(session, link)
        self.assertFalse(self.registry.holds(KEY.auth_key_id, 7))

    def test_the_backend_knows_the_newest_address_and_data_centre(self) -> None:
        first = FakeLink("10.0.0.1", "192.0.2.1", 1)
        second = FakeLink("10.0.0.2", "192.0.2.2", 4)
        session = self.registry.join(KEY, 7, first)
        self.registry.join(KEY, 7, second)
        told = session.client_ip, session.local_ip, session.dc_id
        self.assertEqual(told, ("10.0.0.2", "192.0.2.2", 4))
        self.registry.leave(session, second)
        told = session.client_ip, session.local_ip, session.dc_id
        self.assertEqual(told, ("10.0.0.1", "192.0.2.1", 1))

    def test_a_destroyed_key_ends_its_connections(self) -> None:
        mine, other = FakeLink(), FakeLink()
        self.registry.join(KEY, 7, mine)
        self.registry.join(some_key(2), 7, other)
        self.registry.forget_key(KEY.auth_key_id)
        self.assertEqual((mine.ended, other.ended), ([f"key {KEY.auth_key_id} gone"], []))
        self.assertEqual(self.keys.forgotten, [KEY.auth_key_id])

    def test_an_outage_holds_the_reading_of_whoever_is_in_the_session(self) -> None:
        first, second, third = FakeLink(), FakeLink(), FakeLink()
        session = self.registry.join(KEY, 7, first)
        session.pause_reading()
        self.registry.join(KEY, 7, second)
        self.registry.leave(session, first)
        self.assertEqual((first.held, second.held), (0, 1))
        session.resume_reading()
        self.registry.join(KEY, 7, third)
        self.assertEqual((first.held, second.held, third.held), (0, 0, 0))

    def test_the_links_of_a_session_can_be_ended(self) -> None:
        first, second = FakeLink(), FakeLink()
        self.registry.join(KEY, 7, first).end_links("hold_full")
        self.registry.join(KEY, 7, second).end_links("hold_full")
        self.assertEqual((first.ended, second.ended), (["hold_full"] * 2, ["hold_full"]))

    @given(lists(tuples(integers(0, 3), integers(0, 2)), max_size=40))
    def test_one_close_for_each_open(self, moves: list[tuple[int, int]]) -> None:
        """However connections come to sessions and go, opens and closes pair up."""
        backend = FakeBackend()
        registry = SessionRegistry(backend, FakeKeys())
        links = [FakeLink() for _ in range(4)]
        held: dict[int, Session] = {}
        for link, session_id in moves:
            if link in held:
                registry.leave(held.pop(link), links[link])
            else:
                held[link] = registry.join(KEY, session_id + 1, links[link])
            live = {session.session_id for session in held.values()}
            self.assertEqual(len(registry), len(live))
            self.assertEqual(len(backend.opened) - len(backend.closed), len(live))
        for link, session in held.items():
            registry.leave(session, links[link])
        self.assertEqual(
            sorted(id(client) for client in backend.opened),
            sorted(id(client) for client in backend.closed),
        )
