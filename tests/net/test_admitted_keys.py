"""Look-ups and exchanges above the rates of a network: TCP and HTTP alike."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits
from gnetway.handshake.exchange import StoreWanted
from gnetway.keys.cache import MAX_IN_FLIGHT
from gnetway.net.link_services import BUSY_SECONDS
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.net.gateway import LOOKUP_SECONDS, Gateway, TcpLink
from tests.net.http_client import HttpGateway, post

ONE_GUESS = AccountLimits(unknown_key_rate=0.01, unknown_key_burst=1)


class UnknownKeyTests(SynchronousTestCase):
    """A client whose key was not asked for is told nothing about it."""

    def guess(self, gateway: Gateway, number: int, client_ip: str = "192.0.2.66") -> TcpLink:
        link = gateway.connect(client_ip=client_ip)
        link.say(link.session(some_key(number)), Ping(1).pack())
        return link

    def test_above_the_rate(self) -> None:
        gateway = Gateway(account_limits=ONE_GUESS)
        first, second = self.guess(gateway, 1), self.guess(gateway, 2)
        self.assertEqual((first.code(), second.open), (-404, True))
        gateway.wait(LOOKUP_SECONDS + BUSY_SECONDS - 0.5)
        self.assertEqual((second.open, second.transport.reading), (True, False))
        gateway.wait(1)
        second.read()
        self.assertEqual((second.open, second.packets()), (False, []))
        self.assertEqual(gateway.ended(), {"key_unknown": 1, "unknown_keys": 1})
        self.assertEqual(len(gateway.backend.queries), 1)

    def test_a_stranger_is_served(self) -> None:
        gateway = Gateway(account_limits=ONE_GUESS)
        gateway.knows(some_key(7))
        for number in (1, 2, 3):
            self.guess(gateway, number)
        self.guess(gateway, 7, "198.51.100.1")
        self.assertEqual(len(gateway.backend.sent), 1)

    def test_whoever_leaves_the_line_is_not_asked_for(self) -> None:
        gateway = Gateway(account_limits=AccountLimits(unknown_key_rate=1, unknown_key_burst=1))
        for number in (1, 2, 3):
            self.guess(gateway, number).leave()
        gateway.wait(LOOKUP_SECONDS + 1)
        self.assertEqual(len(gateway.backend.queries), 1)
        self.assertEqual(len(gateway.keys._lines), 0)

    def test_over_http(self) -> None:
        gateway = HttpGateway(account_limits=ONE_GUESS)
        links = [gateway.browse() for _ in range(2)]
        for number, link in enumerate(links):
            link.feed(post(some_key(number + 1).id_bytes + bytes(40)))
        self.assertEqual(links[0].answer().status, 404)
        gateway.wait(LOOKUP_SECONDS + BUSY_SECONDS + 0.5)
        self.assertIn(links[1].answer().status, (429, 503))
        self.assertEqual(gateway.ended()["unknown_keys"], 1)

    def test_gone_from_the_line_over_http(self) -> None:
        gateway = HttpGateway(account_limits=ONE_GUESS)
        for number in (1, 2):
            link = gateway.browse()
            link.feed(post(some_key(number).id_bytes + bytes(40)))
            link.leave()
        gateway.wait(LOOKUP_SECONDS + 1)
        self.assertEqual((len(gateway.backend.queries), len(gateway.keys._lines)), (1, 0))


class ExchangeTests(SynchronousTestCase):
    def test_above_the_rate_work_waits(self) -> None:
        gateway = Gateway(account_limits=AccountLimits(exchange_rate=0.5, exchange_burst=1))
        gateway.connect().make_key(make_client(1))
        link, client = gateway.connect(), make_client(2)
        query = client.receive(link.ask(client.begin()))
        link.query(query)
        gateway.wait(1.9)
        self.assertEqual(link.packets(), [])
        gateway.wait(0.2)
        link.read()
        self.assertIsNotNone(client.receive(link.answer()))

    def test_above_the_line_is_a_close_without_a_code_after_a_while(self) -> None:
        gateway = Gateway(account_limits=AccountLimits(exchange_rate=0.1, exchange_burst=1))
        gateway.connect().ask(make_client(1).begin())
        link = gateway.connect()
        link.query(make_client(2).begin())
        gateway.wait(BUSY_SECONDS - 0.1)
        self.assertTrue(link.open)
        gateway.wait(0.2)
        link.read()
        self.assertEqual((link.open, link.packets()), (False, []))
        self.assertEqual(gateway.ended(), {"handshake_too_fast": 1})

    def test_over_http(self) -> None:
        gateway = HttpGateway(account_limits=AccountLimits(exchange_rate=0.1, exchange_burst=1))
        first, second = gateway.browse(), gateway.browse()
        first.query(make_client(1).begin())
        second.query(make_client(2).begin())
        gateway.wait(BUSY_SECONDS + 0.1)
        self.assertIn(second.answer().status, (429, 503))

    def test_stores_of_one_network(self) -> None:
        """A slow service has so many under way for each, and others go by."""
        gateway, under_way = Gateway(), list[Deferred[bool]]()

        def store(*ignored: object) -> Deferred[bool]:
            under_way.append(Deferred())
            return under_way[-1]

        self.patch(gateway.backend, "set_auth_key", store)
        wanted = [StoreWanted(some_key(number), 5, 100, 1900, 60) for number in range(72)]
        stored = [gateway.key_maker.store(one, "192.0.2.66") for one in wanted[:70]]
        self.assertEqual(len(under_way), MAX_IN_FLIGHT)
        gateway.key_maker.store(wanted[70], "198.51.100.1")
        self.assertEqual(len(under_way), MAX_IN_FLIGHT + 1)
        while under_way:
            under_way.pop(0).callback(True)
        self.assertEqual([self.successResultOf(one) for one in stored], [True] * 70)


class GoneTests(SynchronousTestCase):
    def test_a_client_that_has_gone_leaves_nothing_to_do(self) -> None:
        gateway = Gateway()
        gateway.threads.held = True
        link, client = gateway.connect(), make_client()
        link.query(client.receive(link.ask(client.begin())))
        link.leave()
        gateway.threads.work()
        self.assertEqual(gateway.secrets.taken, [])
        self.assertEqual(len(gateway.services.exchange_driver), 0)
