"""The cause of those who end, or leave, while the backend has no session node for them."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import BackendUnavailable
from gnetway.net.link_services import NO_SESSION_NODE
from gnetway.testing import KeyGivenUp
from gnetway.tl.service_messages import Ping, Pong
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.net.gateway import LOOKUP_SECONDS, Gateway, TcpLink
from tests.net.http_client import HttpGateway, said
from tests.net.test_link_exchanges import go_on

KEY = some_key(1)
PING = Ping(1).pack()


class LinkTests(SynchronousTestCase):
    def ended(self, act: Callable[[Gateway, TcpLink], None], without: str) -> None:
        """Check how links end without a node, and how they do else."""
        for why_unready, cause in (("no node", NO_SESSION_NODE), ("", without)):
            with self.subTest(why_unready=why_unready):
                gateway = Gateway()
                gateway.knows(KEY)
                gateway.backend.held = True
                gateway.backend.why_unready = why_unready
                act(gateway, gateway.connect())
                self.assertEqual(gateway.ended(), {cause: 1})

    def test_no_answer_about_a_key(self) -> None:
        def act(gateway: Gateway, link: TcpLink) -> None:
            link.say(link.session(KEY), PING)
            gateway.wait(LOOKUP_SECONDS)
            self.assertEqual(link.code(), 0)

        self.ended(act, "backend_unavailable")

    def test_a_client_that_leaves_while_its_key_is_asked_for(self) -> None:
        def act(gateway: Gateway, link: TcpLink) -> None:
            link.say(link.session(KEY), PING)
            link.leave()

        self.ended(act, "client_closed")

    def test_a_client_that_is_lost_meanwhile(self) -> None:
        def act(gateway: Gateway, link: TcpLink) -> None:
            link.say(link.session(KEY), PING)
            link.leave(clean=False)

        self.ended(act, "client_lost")

    def test_a_client_whose_key_could_not_be_stored(self) -> None:
        """It is told dh_gen_fail, and closes by itself."""

        def act(gateway: Gateway, link: TcpLink) -> None:
            gateway.backend.store_outcomes = [BackendUnavailable("no node") for _ in range(9)]
            client = make_client()
            with self.assertRaises(KeyGivenUp):
                go_on(link, client, client.begin())
            link.leave()

        self.ended(act, "client_closed")

    def test_a_client_whose_messages_wait(self) -> None:
        def act(gateway: Gateway, link: TcpLink) -> None:
            gateway.backend.held = False
            link.say(link.session(KEY), PING)
            link.link.session_paused()
            link.leave()

        self.ended(act, "client_closed")

    def test_a_client_that_wants_nothing(self) -> None:
        """What has no part in it is counted as ever."""
        for speaks in (False, True):
            gateway = Gateway()
            gateway.knows(KEY)
            gateway.backend.why_unready = "no node"
            link = gateway.connect()
            if speaks:
                link.say(link.session(KEY), PING)
            link.leave()
            self.assertEqual(gateway.ended(), {"client_closed": 1})


class HttpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.backend.why_unready = "no node"
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()

    def test_no_answer_about_a_key(self) -> None:
        self.gateway.backend.held = True
        self.link.say(self.link.session(KEY), PING)
        self.gateway.backend.queries[0][1].errback(BackendUnavailable("gone"))
        self.assertEqual(self.link.answer().status, 503)
        self.assertEqual(self.gateway.ended(), {NO_SESSION_NODE: 1})

    def test_a_client_that_leaves_while_it_waits(self) -> None:
        self.gateway.held = True
        self.link.say(self.link.session(KEY), PING)
        self.link.leave()
        self.assertEqual(self.gateway.ended(), {NO_SESSION_NODE: 1})
        self.gateway.asked[0].callback(b"")

    def test_a_client_that_was_answered(self) -> None:
        session = self.link.session(KEY)
        self.gateway.answers = [said(session, Pong(4, 1).pack())]
        self.link.say(session, PING)
        self.assertEqual(self.link.answer().status, 200)
        self.link.leave()
        self.assertEqual(self.gateway.ended(), {"client_closed": 1})
