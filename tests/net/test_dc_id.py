"""Which data centre a session's client names, as the session backend hears of it."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.testing import Framing, Style
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.fakes import Sent, some_key
from tests.net.gateway import Gateway
from tests.net.http_client import HttpGateway
from tests.net.websocket.test_protocol import Socket, WebSocketCase

KEY = some_key(1)
PING = Ping(1).pack()

#: What stands in the header → what is told.
NAMED = {
    1: 1,
    5: 5,
    -2: 2,
    10_002: 2,
    -10_002: 2,
    1000: 1000,
    1001: 0,
    10_000: 0,
    11_001: 0,
    23_817: 0,
    32_767: 0,
    -32_768: 0,
    0: 0,
}


class DcIdTests(SynchronousTestCase):
    def test_by_the_header(self) -> None:
        for header, told in NAMED.items():
            with self.subTest(header=header):
                gateway = Gateway()
                gateway.knows(KEY)
                link = gateway.connect(Style(Framing.PADDED, True, header))
                link.say(link.session(KEY), PING)
                self.assertEqual(gateway.backend.sent[0].client.dc_id, told)

    def test_it_is_known_when_the_session_opens(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        opened: list[int] = []
        gateway.backend.open_session = (  # type: ignore[method-assign]
            lambda client: opened.append(client.dc_id)
        )
        link = gateway.connect(Style(Framing.ABRIDGED, True, 4))
        link.say(link.session(KEY), PING)
        self.assertEqual(opened, [4])

    def test_the_newest_connection_names_it(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        links = [gateway.connect(Style(Framing.ABRIDGED, True, dc)) for dc in (1, 3)]
        for link in links:
            link.say(link.session(KEY, 5), PING)
        self.assertEqual([sent.client.dc_id for sent in gateway.backend.sent], [3, 3])
        links[1].leave()
        self.assertEqual(gateway.backend.sent[0].client.dc_id, 1)

    def test_none_without_a_header(self) -> None:
        for style in STYLES:
            if not style.obfuscated:
                gateway = Gateway()
                gateway.knows(KEY)
                link = gateway.connect(style)
                link.say(link.session(KEY), PING)
                self.assertEqual(gateway.backend.sent[0].client.dc_id, 0)

    def test_none_over_http(self) -> None:
        gateway = HttpGateway()
        gateway.knows(KEY)
        link = gateway.browse()
        link.say(link.session(KEY), PING)
        self.assertEqual(gateway.backend.sent[0].client.dc_id, 0)


class WebSocketTests(WebSocketCase):
    def test_by_the_header_inside(self) -> None:
        heard: list[int] = []

        def note(sent: Sent) -> None:
            heard.append(sent.client.dc_id)

        self.gateway.backend.on_send = note
        socket = Socket(self, Style(Framing.INTERMEDIATE, True, -3))
        socket.say(socket.session(KEY), PING)
        self.assertEqual(heard, [3])
