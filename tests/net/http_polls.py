"""A session over HTTP whose backend says something now and then."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.http.answers import HttpSettings
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import HttpWait, MsgsAck, Pong, parse_container
from tests.fakes import some_key
from tests.net.http_client import HttpGateway, HttpLink

KEY = some_key(1)
KEY.perm_auth_key_id = KEY.auth_key_id
ACK = MsgsAck([1]).pack()


def note(number: int) -> bytes:
    """Something that the backend says."""
    return Pong(4, number).pack()


def wait(max_wait: int = 25_000, max_delay: int = 0, wait_after: int = 0) -> bytes:
    return HttpWait(max_delay, wait_after, max_wait).pack()


class PollCase(SynchronousTestCase):
    settings = HttpSettings()

    def setUp(self) -> None:
        self.gateway = HttpGateway(self.settings)
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()
        self.session = self.link.session(KEY)
        self.acked: list[int] = []

    def heard(self, link: HttpLink | None = None) -> list[bytes] | None:
        """Return what is told by the one answer that has come, None where none has.

        The msg_ids of a lone msgs_ack, which says no more than an empty container, go to ``acked``.
        """
        answers = (link or self.link).heard(self.session)
        if not answers:
            return None
        (answer,) = answers
        self.assertEqual(answer.seq_no % 2, 0)
        self.assertEqual(answer.session_id, self.session.session_id)
        self.acked = []
        if answer.body.startswith(ACK[:4]):
            self.acked = MsgsAck.parse(answer.body).msg_ids
            return []
        if int.from_bytes(answer.body[:4], "little") != Constructor.MSG_CONTAINER:
            return [answer.body]
        return [message.body for message in parse_container(answer.body, 1000)]

    def say(self, body: bytes) -> HttpLink:
        """Send on a connection of its own."""
        link = self.gateway.browse()
        link.say(self.session, body, content_related=False)
        return link

    def push(self, number: int) -> bool:
        return self.gateway.push(self.session, note(number), 4 * number + 1)

    def assert_answered_after(self, link: HttpLink, seconds: float) -> None:
        self.gateway.wait(seconds - 0.01)
        self.assertIsNone(self.heard(link))
        self.gateway.wait(0.02)
        self.assertEqual(self.heard(link), [])
