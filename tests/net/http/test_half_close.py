"""A client that closes its own side after its requests, and reads on."""

from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface.verify import verifyObject

from gnetway.errors import BackendUnavailable
from gnetway.tl.service_messages import HttpWait
from tests.connection.wrappers import CALL
from tests.net.http.test_channel import ACK, KEY, ChannelCase
from tests.net.http_client import post, said


class HalfCloseTests(ChannelCase):
    def setUp(self) -> None:
        super().setUp()
        self.session = self.link.session(KEY)
        self.gateway.held = True

    def test_the_channel_takes_one(self) -> None:
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.link.channel))

    def half_close(self) -> None:
        self.link.transport.client_half_closes()
        self.gateway.settle()

    def test_the_answer_comes_and_then_the_end(self) -> None:
        self.link.say(self.session, CALL)
        self.half_close()
        self.assertTrue(self.link.is_open)
        self.gateway.asked[0].callback(said(self.session, CALL))
        self.assertEqual([one.body for one in self.link.heard(self.session)], [CALL])
        self.assertTrue(self.link.transport.lost)
        self.assertEqual(self.gateway.ended(), {"client_closed": 1})

    def test_all_requests_that_came_before_are_answered(self) -> None:
        packets = [self.session.encrypt(CALL, self.link.now) for _ in range(3)]
        data = b"".join(map(post, packets))
        for cut in (0, 20):
            link = self.gateway.browse()
            link.feed(data + data[:cut])
            link.transport.client_half_closes()
            for number in range(3):
                self.gateway.asked[number].callback(said(self.session, CALL, number))
            self.assertEqual([answer.status for answer in link.answers()], [200] * 3)
            self.assertTrue(link.transport.lost)
            self.gateway.asked.clear()

    def test_a_key_that_is_looked_for(self) -> None:
        self.gateway.backend.held = True
        link = self.gateway.browse()
        self.gateway.key_cache.drop(KEY.auth_key_id)
        link.feed(post(self.packet()))
        link.transport.client_half_closes()
        self.gateway.backend.queries[0][1].errback(BackendUnavailable("gone"))
        self.assertEqual(link.answer().status, 503)
        self.assertTrue(link.transport.lost)

    def test_a_long_poll_is_over_at_once(self) -> None:
        """It may as well have gone altogether: what comes later must not be sent to it."""
        self.link.say(self.session, HttpWait(0, 0, 9000).pack(), content_related=False)
        self.half_close()
        self.assertEqual(len(self.link.heard(self.session)), 1)
        self.assertTrue(self.gateway.push(self.session, CALL))

    def test_a_call_gets_its_own_answer_and_no_push(self) -> None:
        self.link.say(self.session, CALL)
        self.half_close()
        self.assertTrue(self.gateway.push(self.session, ACK))
        self.assertEqual(self.link.answers(), [])
        other = self.gateway.browse()
        other.say(self.session, HttpWait(0, 0, 9000).pack(), content_related=False)
        self.assertEqual([one.body for one in other.heard(self.session)], [ACK])
        self.assertTrue(self.gateway.push(self.session, ACK))
        self.gateway.asked[0].callback(said(self.session, CALL))
        self.assertEqual(len(self.link.heard(self.session)), 1)

    def test_nothing_asked_and_half_a_request(self) -> None:
        for data in (b"", post(self.packet())[:-1], post(self.packet())[:30]):
            link = self.gateway.browse()
            link.feed(data)
            link.transport.client_half_closes()
            self.assertEqual(link.answers(), [])
            self.assertTrue(link.transport.lost)
        self.assertEqual(self.gateway.ended(), {"client_closed": 3})

    def test_behind_our_own_half_close(self) -> None:
        self.link.feed(post(bytes(1 << 20))[: 1 << 14])
        self.assertTrue(self.link.transport.half_closed)
        self.half_close()
        self.assertTrue(self.link.transport.lost)
        self.assertEqual(len(self.gateway.wheel), 0)
