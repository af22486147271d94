"""Which sessions a link holds, and that each that was opened is closed once."""

from typing import ClassVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey
from gnetway.mtproto.message import pack_message
from gnetway.net.link_services import VISIT_SECONDS
from gnetway.net.link_sessions import MAX_SESSIONS_OF_KEY, MOVED_ON_SECONDS
from gnetway.net.session import Session
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.net.gateway import Gateway, TcpLink

KEY, OTHER = some_key(1), some_key(2)
PING = Ping(1).pack()


def make_gateway() -> Gateway:
    gateway = Gateway()
    gateway.knows(KEY, OTHER)
    return gateway


def opened(gateway: Gateway) -> list[int]:
    return [client.session_id for client in gateway.backend.opened]


def closed(gateway: Gateway) -> list[int]:
    return [client.session_id for client in gateway.backend.closed]


class SessionTests(SynchronousTestCase):
    def test_a_session_is_opened_by_its_first_message_and_closed_with_its_link(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        session = link.session(KEY, 5)
        for _ in range(3):
            link.say(session, PING)
        self.assertEqual((opened(gateway), closed(gateway)), ([5], []))
        link.leave()
        self.assertEqual((opened(gateway), closed(gateway)), ([5], [5]))

    def test_closed_before_the_client_hears_of_the_end(self) -> None:
        """It opens them at another gateway then, and their end here must not come second."""
        gateway = make_gateway()
        link = gateway.connect()
        link.say(link.session(KEY, 5), PING)
        link.link.end("gateway_stopped", told=True)
        self.assertEqual((opened(gateway), closed(gateway)), ([5], [5]))
        link.leave()
        self.assertEqual((opened(gateway), closed(gateway)), ([5], [5]))

    def test_two_sessions_by_turns(self) -> None:
        """Both live, and each gets what is sent to it."""
        gateway = make_gateway()
        link = gateway.connect()
        sessions = [link.session(KEY, session_id) for session_id in (5, 6)]
        for number in range(6):
            link.say(sessions[number % 2], PING)
            for session in sessions[: number + 1]:
                plaintext = pack_message(1, session.session_id, 1, 0, PING)
                self.assertTrue(
                    gateway.registry.push(KEY.auth_key_id, session.session_id, plaintext)
                )
                link.read()
                self.assertEqual(len(link.said(session)), 1)
        self.assertEqual((opened(gateway), closed(gateway)), ([5, 6], []))
        link.leave()
        self.assertEqual(sorted(closed(gateway)), [5, 6])

    def test_a_session_that_was_moved_on_from_is_left_after_a_minute(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        link.say(link.session(KEY, 5), PING)
        session = link.session(KEY, 6)
        for _ in range(3):
            link.say(session, PING)
            gateway.wait(MOVED_ON_SECONDS / 3 - 1)
        self.assertEqual(closed(gateway), [])
        gateway.wait(VISIT_SECONDS + 4)
        self.assertEqual((closed(gateway), link.open), ([5], True))

    def test_one_that_is_talked_in_by_turns_stays_longer(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        sessions = [link.session(KEY, session_id) for session_id in (5, 6)]
        for number in range(3):
            link.say(sessions[number % 2], PING)
        sixth = gateway.services.limits.idle_seconds / 6
        for _ in range(5):
            gateway.wait(sixth)
            link.say(sessions[0], PING)
        self.assertEqual(closed(gateway), [])
        gateway.wait(sixth + VISIT_SECONDS + 2)
        self.assertEqual((closed(gateway), link.open), ([6], True))

    def test_one_of_another_key_stays_with_the_link(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        link.say(link.session(OTHER, 4), PING)
        link.say(link.session(OTHER, 5), PING)
        session = link.session(KEY, 6)
        for _ in range(20):
            link.say(session, PING)
            gateway.wait(60)
        self.assertEqual(closed(gateway), [4])

    def test_a_client_cannot_hold_more_and_more(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        for _ in range(3):
            for session_id in range(1, 51):
                link.say(link.session(KEY, session_id), PING)
                self.assertLessEqual(len(gateway.registry), MAX_SESSIONS_OF_KEY)
        self.assertEqual(len(gateway.backend.opened) - len(gateway.backend.closed), 4)
        self.assertEqual(closed(gateway)[-1], 46)

    def test_each_key_of_a_link_has_its_session(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        sessions = [link.session(KEY, 5), link.session(OTHER, 6)]
        for number in (0, 1, 0, 1, 1, 0):
            link.say(sessions[number], PING)
        self.assertEqual((opened(gateway), closed(gateway)), ([5, 6], []))
        link.say(link.session(KEY, 7), PING)
        self.assertEqual(closed(gateway), [])
        link.leave()
        self.assertEqual(sorted(closed(gateway)), [5, 6, 7])

    def test_two_keys_may_use_one_session_id(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        for key in (KEY, OTHER, KEY):
            link.say(link.session(key, 5), PING)
        self.assertEqual([sent.client.key for sent in gateway.backend.sent], [KEY, OTHER, KEY])
        self.assertEqual(len(gateway.backend.opened), 2)

    def test_two_links_share_a_session(self) -> None:
        gateway = make_gateway()
        first, second = gateway.connect(), gateway.connect()
        for link in (first, second):
            link.say(link.session(KEY, 5), PING)
        first.leave()
        self.assertEqual((opened(gateway), closed(gateway)), ([5], []))
        second.leave()
        self.assertEqual(closed(gateway), [5])

    def test_a_key_that_was_looked_up_anew_is_the_same_key(self) -> None:
        """A forgotten key comes back as another object; no link may join a session twice."""
        gateway = make_gateway()
        first, second = gateway.connect(), gateway.connect()
        first.say(first.session(KEY, 5), PING)
        gateway.key_cache.drop(KEY.auth_key_id)
        gateway.knows(AuthKey(KEY.secret))
        session = second.session(KEY, 5)
        for _ in range(3):
            second.say(session, PING)
        (client,) = gateway.backend.opened
        assert isinstance(client, Session)
        self.assertEqual(client.links, [first.link, second.link])
        second.leave()
        self.assertEqual(closed(gateway), [])
        first.leave()
        self.assertEqual(closed(gateway), [5])

    def test_a_push_goes_to_the_newest_link_that_is_open(self) -> None:
        gateway = make_gateway()
        links = [gateway.connect() for _ in range(3)]
        sessions = [link.session(KEY, 5) for link in links]
        for link, session in zip(links, sessions, strict=True):
            link.say(session, PING)
        heard = []
        links[2].send(b"\x55" * 64)
        self.assertEqual(links[2].code(), -404)
        for leaver in (2, 1, 0):
            plaintext = pack_message(1, 5, 1, 0, PING)
            self.assertTrue(gateway.registry.push(KEY.auth_key_id, 5, plaintext))
            for number, (link, session) in enumerate(zip(links, sessions, strict=True)):
                link.read()
                heard += [number for _ in link.said(session)]
            links[leaver].leave()
        self.assertEqual(heard, [1, 1, 0])
        self.assertFalse(gateway.registry.push(KEY.auth_key_id, 5, bytes(32)))

    def test_a_push_that_no_open_link_can_take_says_so(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        link.say(link.session(KEY, 5), PING)
        link.send(b"\x55" * 64)
        self.assertFalse(gateway.registry.push(KEY.auth_key_id, 5, bytes(32)))


class Sessions(RuleBasedStateMachine):
    """Links, keys, session ids and ways to go at random; the model is who holds what."""

    KEYS: ClassVar = [some_key(number) for number in range(1, 4)]

    def __init__(self) -> None:
        super().__init__()
        self.gateway = Gateway()
        self.gateway.knows(*self.KEYS)
        self.links: list[TcpLink] = []
        self.held: list[dict[AuthKey, list[int]]] = []

    @rule()
    def connect(self) -> None:
        self.links.append(self.gateway.connect())
        self.held.append({})

    @rule(number=integers(0, 5), key=sampled_from(KEYS), session_id=integers(1, 7))
    def speak(self, number: int, key: AuthKey, session_id: int) -> None:
        if number < len(self.links):
            link = self.links[number]
            link.say(link.session(key, session_id), PING)
            held = self.held[number].setdefault(key, [])
            if session_id in held:
                held.remove(session_id)
            held.append(session_id)
            del held[:-MAX_SESSIONS_OF_KEY]

    @rule(number=integers(0, 5), how=sampled_from(["clean", "lost", "junk", "idle", "slow"]))
    def go(self, number: int, how: str) -> None:
        if number >= len(self.links):
            return
        link = self.links.pop(number)
        self.held.pop(number)
        if how == "junk":
            link.send(b"\x55" * 64)
            link.leave()
        elif how == "idle":
            link.link.deadline_passed()
        elif how == "slow":
            link.transport.abortConnection()
        else:
            link.leave(clean=how == "clean")
        self.gateway.settle()

    @rule()
    def stop(self) -> None:
        self.gateway.open_links.shut_down()
        self.gateway.settle()
        self.links.clear()
        self.held.clear()

    @invariant()
    def the_backend_knows_the_sessions_that_are_held(self) -> None:
        live = {
            (key.auth_key_id, session_id)
            for holds in self.held
            for key, held in holds.items()
            for session_id in held
        }
        backend = self.gateway.backend
        still_open = [client for client in backend.opened if client not in backend.closed]
        names = [(client.key.auth_key_id, client.session_id) for client in still_open]
        assert sorted(names) == sorted(live), (names, live)
        assert len(backend.closed) == len(set(map(id, backend.closed))), "closed twice"
        assert len(backend.opened) - len(backend.closed) == len(live)
        assert len(self.gateway.registry) == len(live)

    def teardown(self) -> None:
        self.stop()
        assert len(self.gateway.backend.opened) == len(self.gateway.backend.closed)


Sessions.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
StatefulSessionTests = Sessions.TestCase
