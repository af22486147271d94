"""The pages of the admin site, over connections in memory."""

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admin.metrics import GAUGES
from gnetway.admin.site import IDLE_SECONDS, MAX_CONNECTIONS, admin_site, metrics_site
from gnetway.admin.status import NotFound, QueryFault, Status
from gnetway.metrics import GatewayCounts, Measures

TOKEN = "0123456789abcdef"

COUNTS = GatewayCounts(
    open_connections=2,
    causes={"idle": 3, "handshake_timeout": 1, "handshake_fingerprint": 4},
    pushes={"delivered": 9},
    opened=10,
    keys=7,
    gauges={"sessions": 2, "unsent_bytes": 100, "unsent_bytes_limit": 1000},
    measures=Measures(
        totals={"conn_open": {"tcp": 9, "auto": 1}, "conn_close": {"tcp": 8, "auto": 0}}
    ),
)


class Source:
    """A gateway whose status is what it is told."""

    def __init__(self) -> None:
        self.unready: tuple[str, ...] = ()
        self.counts = COUNTS
        self.answer: Deferred[Status] | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.drained = False
        self.may_drain = True

    def status(self) -> Deferred[Status]:
        if self.answer is not None:
            return self.answer
        return succeed(
            Status(1e9, self.unready, ("127.0.0.1:1",), "embedded", self.counts, {"x": 1})
        )

    def ask(self, what: str, given: Mapping[str, str]) -> Deferred[dict[str, Any]]:
        self.asked.append((what, dict(given)))
        if given.get("id") == "404":
            return fail(NotFound("nothing is known of it"))
        if "bad" in given:
            return fail(QueryFault("bad: there is no such parameter"))
        return succeed({"connections": []})

    def drain(self) -> bool:
        self.drained = True
        return self.may_drain


class SiteCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.source = Source()
        self.clock = Clock()
        self.channels: dict[StringTransport, ProtocolWrapper] = {}
        self.site = admin_site(self.source, TOKEN, self.clock)

    def connect(self, site: WrappingFactory | None = None) -> StringTransport:
        channel = (site or self.site).buildProtocol(None)
        assert channel is not None
        transport = StringTransport()
        self.channels[transport] = channel
        channel.makeConnection(transport)
        return transport

    def send(self, transport: StringTransport, request: bytes) -> None:
        self.channels[transport].dataReceived(request)

    def ask(
        self, path: str, token: str = "", method: str = "GET", site: WrappingFactory | None = None
    ) -> tuple[int, bytes]:
        transport = self.connect(site)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        self.send(transport, f"{head}\r\n".encode())
        head_bytes, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head_bytes.split()[1]), body


class HealthTests(SiteCase):
    def test_alive_without_a_token(self) -> None:
        self.assertEqual(self.ask("/healthz"), (200, b"ok\n"))

    def test_ready_without_a_token(self) -> None:
        self.assertEqual(self.ask("/readyz"), (200, b"ready\n"))

    def test_not_ready_says_why(self) -> None:
        self.source.unready = ("no session node is known", "etcd is away")
        self.assertEqual(self.ask("/readyz"), (503, b"no session node is known\netcd is away\n"))
        self.assertEqual(self.ask("/healthz"), (200, b"ok\n"))


class StatusTests(SiteCase):
    def test_as_json(self) -> None:
        code, body = self.ask("/api/status", TOKEN)
        self.assertEqual(code, 200)
        status = json.loads(body)
        self.assertEqual(status["connections"], {"open": 2, "opened": 10})
        self.assertEqual(status["ends"]["handshake_fingerprint"], 4)
        self.assertEqual((status["ready"], status["unready"]), (True, []))

    def test_wants_the_token(self) -> None:
        for path in ("/api/status", "/metrics"):
            for token in ("", "0123456789abcdeX", TOKEN + "x"):
                code, body = self.ask(path, token)
                self.assertEqual(code, 401)
                self.assertNotIn(TOKEN.encode(), body)

    def test_head_has_no_body(self) -> None:
        self.assertEqual(self.ask("/api/status", TOKEN, "HEAD"), (200, b""))

    def test_nothing_changes_anything(self) -> None:
        for method in ("DELETE", "PUT", "POST"):
            self.assertEqual(self.ask("/api/status", TOKEN, method)[0], 405)

    def test_a_page_that_fails(self) -> None:
        self.source.answer = fail(ValueError("secret"))
        code, body = self.ask("/api/status", TOKEN)
        self.assertEqual((code, body), (500, b"failed: the gateway's log says why\n"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_client_that_leaves_before_its_answer(self) -> None:
        self.source.answer = answer = Deferred[Status]()
        transport = self.connect()
        self.send(
            transport,
            f"GET /api/status HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode(),
        )
        self.channels[transport].connectionLost(Failure(ConnectionDone()))
        answer.callback(Status(0, (), (), "", COUNTS, {}))
        self.assertEqual(transport.value(), b"")


class MetricsTests(SiteCase):
    def metrics(self) -> dict[str, float]:
        code, body = self.ask("/metrics", TOKEN)
        self.assertEqual(code, 200)
        lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def test_under_the_names_of_the_go_gateway(self) -> None:
        metrics = self.metrics()
        self.assertEqual(metrics['gnetway_conn_open_total{proto="tcp"}'], 9)
        self.assertEqual(metrics['gnetway_conn_close_total{proto="auto"}'], 0)
        self.assertEqual(metrics["gnetway_conn_timeout_total"], 4)
        self.assertEqual(metrics['gnetway_handshake_total{result="ok"}'], 7)
        self.assertEqual(metrics['gnetway_handshake_total{result="error"}'], 5)

    def test_what_is_there_beside_its_bound(self) -> None:
        metrics = self.metrics()
        self.assertEqual(metrics["gnetway_connections"], 2)
        self.assertEqual(metrics["gnetway_unsent_bytes"], 100)
        self.assertEqual(metrics["gnetway_unsent_bytes_limit"], 1000)
        self.assertEqual(metrics['gnetway_ends_total{cause="idle"}'], 3)
        self.assertEqual(metrics['gnetway_pushes_total{outcome="delivered"}'], 9)

    def test_what_is_not_measured_is_left_out(self) -> None:
        self.assertNotIn("gnetway_resident_memory_bytes", self.metrics())
        self.assertNotIn("gnetway_workers", self.metrics())

    def test_each_gauge_has_a_name_of_its_own(self) -> None:
        self.assertEqual(len({gauge.name for gauge in GAUGES.values()}), len(GAUGES))

    def test_teamgrams_place(self) -> None:
        site = metrics_site(self.source, "/a/metrics", self.clock)
        self.assertEqual(self.ask("/a/metrics", site=site)[0], 200)
        for path in ("/a", "/metrics", "/healthz", "/api/status"):
            self.assertEqual(self.ask(path, site=site)[0], 404)


class BoundTests(SiteCase):
    def test_connections(self) -> None:
        for _ in range(MAX_CONNECTIONS):
            transport = self.connect()
        self.assertIsNone(self.site.buildProtocol(None))
        self.channels[transport].connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(self.site.buildProtocol(None))

    def test_a_silent_one_is_closed(self) -> None:
        transport = self.connect()
        self.clock.advance(IDLE_SECONDS)
        self.assertTrue(transport.disconnecting)

    def test_no_body_is_kept(self) -> None:
        for length in ("Content-Length: 1000000000", "Transfer-Encoding: chunked"):
            transport = self.connect()
            self.send(transport, f"POST /healthz HTTP/1.1\r\n{length}\r\n\r\n".encode())
            self.assertTrue(transport.disconnecting)


class OperatorTests(SiteCase):
    """What tells of clients' addresses, or changes something."""

    def request(
        self,
        path: str,
        method: str = "GET",
        host: str = "127.0.0.1:11080",
        peer: str = "127.0.0.1",
        acts: bool = False,
        token: str | None = None,
    ) -> tuple[int, bytes]:
        site = admin_site(self.source, "" if token is None else TOKEN, self.clock)
        channel = site.buildProtocol(None)
        assert channel is not None
        transport = StringTransport(peerAddress=IPv4Address("TCP", peer, 40000))
        channel.makeConnection(transport)
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
        head += "X-Gnetway-Request: 1\r\n" if acts else ""
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        channel.dataReceived(f"{head}\r\n".encode())
        status, _, body = transport.value().partition(b"\r\n\r\n")
        channel.connectionLost(Failure(ConnectionDone()))
        return int(status.split()[1]), body

    def test_questions_and_their_parameters(self) -> None:
        for path, asked in {
            "/api/connections": ("connections", {}),
            "/api/connections/": ("connections", {}),
            "/api/connections?state=ended&cause=idle&cause=a": (
                "connections",
                {"state": "ended", "cause": "a"},
            ),
            "/api/connections/0-12": ("connection", {"id": "0-12"}),
            "/api/connections/12?id=13": ("connection", {"id": "12"}),
            "/api/failures": ("failures", {}),
            "/api/reloads": ("reloads", {}),
        }.items():
            self.assertEqual(self.request(path)[0], 200, path)
            self.assertEqual(self.source.asked.pop(), asked)

    def test_what_is_not_there(self) -> None:
        self.assertEqual(self.request("/api/connections/404")[0], 404)
        status, body = self.request("/api/connections?bad=1")
        self.assertEqual(status, 400)
        self.assertEqual(json.loads(body), {"error": "bad: there is no such parameter"})
        for path in ("/api/connections/1/more", "/api/connections/1/end/2", "/api/more"):
            self.assertEqual(self.request(path, "POST", acts=True)[0], 404, path)

    def test_deeds(self) -> None:
        for path, asked in (
            ("/api/reload", ("reload", {})),
            ("/api/connections/12/end", ("end", {"id": "12"})),
            ("/api/connections/12/drain", ("drain", {"id": "12"})),
        ):
            self.assertEqual(self.request(path)[0], 405)
            self.assertEqual(self.request(path, "POST")[0], 403)
            self.assertEqual(self.source.asked, [])
            self.assertEqual(self.request(path, "POST", acts=True)[0], 200)
            self.assertEqual(self.source.asked.pop(), asked)

    def test_the_whole_gateway(self) -> None:
        self.assertEqual(self.request("/api/drain", "POST")[0], 403)
        self.assertFalse(self.source.drained)
        self.assertEqual(self.request("/api/drain", "POST", acts=True)[0], 202)
        self.assertTrue(self.source.drained)
        self.source.may_drain = False
        self.assertEqual(self.request("/api/drain", "POST", acts=True)[0], 400)

    def test_without_a_token_only_for_this_machine(self) -> None:
        """Neither for others, nor for a page whose name leads here."""
        path = "/api/connections"
        for host in ("127.0.0.1", "localhost:11080", "[::1]:11080", "192.0.2.1:80"):
            self.assertEqual(self.request(path, host=host)[0], 200, host)
        for host in ("evil.example", "evil.example:11080", "localhost.evil.example", ""):
            self.assertEqual(self.request(path, host=host)[0], 403, host)
        self.assertEqual(self.request(path, peer="192.0.2.9")[0], 403)

    def test_with_a_token_for_whoever_has_it(self) -> None:
        path = "/api/connections"
        self.assertEqual(self.request(path, token="")[0], 401)
        elsewhere = self.request(path, token=TOKEN, peer="192.0.2.9", host="a.example")
        self.assertEqual(elsewhere[0], 200)
        deed = "/api/connections/1/end"
        self.assertEqual(self.request(deed, "POST", token=TOKEN)[0], 403)
        self.assertEqual(self.request(deed, "POST", token=TOKEN, acts=True)[0], 200)
