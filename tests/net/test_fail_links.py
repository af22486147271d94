"""The end of a session's connections with a code that an application has chosen."""

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TransportError
from tests.fakes import Sent
from tests.net.gateway import Gateway
from tests.net.http.test_messages import KEY, PING
from tests.net.http_client import HttpGateway


class FailLinksTests(SynchronousTestCase):
    def test_each_code_is_told_and_counted(self) -> None:
        """-429 too, which the gateway itself says only where the configuration allows it."""
        for code in (404, 429, 444):
            gateway = Gateway()
            link, _ = gateway.talking(3)
            (held,) = gateway.registry._sessions.values()
            held.fail_links(TransportError(code))
            link.read()
            self.assertEqual((link.code(), link.open), (-code, False))
            self.assertEqual(gateway.ended(), {"closed_by_handler": 1})
            self.assertEqual(len(gateway.backend.closed), 1)


class FailOverHttpTests(SynchronousTestCase):
    """The embedded backend fails the request by the same error, before the session's links."""

    def test_the_request_is_answered_with_the_code(self) -> None:
        for code in (404, 429, 444):
            gateway = HttpGateway()
            gateway.knows(KEY)
            link = gateway.browse()
            session = link.session(KEY)

            def answer(sent: Sent, code: int = code) -> Deferred[bytes]:
                error = TransportError(code)
                refused: Deferred[bytes] = fail(error)
                sent.client.fail_links(error)
                return refused

            gateway.backend.on_http = answer
            link.say(session, PING)
            answered = link.answer()
            self.assertEqual(answered.status, code)
            self.assertEqual(int.from_bytes(answered.body, "little", signed=True), -code)
            self.assertEqual(gateway.ended()["closed_by_handler"], 1)
            self.assertEqual(len(gateway.registry), 0)
