"""Which ways to a listener are tried, and by which gateway."""

from ipaddress import ip_network

from gnetway.cli.check_trial import _listed, _stand_in, ways
from gnetway.config.servers import ServerConfig
from gnetway.config.session import MEMORY
from gnetway.testing.dial import OVER_TCP, Way
from tests.cli.cases import CheckCase
from tests.net.certificates import Files, Pair


class WaysTests(CheckCase):
    def setUp(self) -> None:
        super().setUp()
        files = Files(self.directory / "tls")
        files.write(Pair("gateway"))
        self.tls = {"CertFile": str(files.cert), "KeyFile": str(files.key)}

    def server(self, **keys: object) -> ServerConfig:
        servers = [{"Addresses": ["127.0.0.1:0"], **keys}]
        session = {"Embedded": {"Store": "memory"}}
        (server,) = self.config(session, Gnetway={"Server": servers}).gnetway.servers
        return server

    def names(self, **keys: object) -> list[str]:
        found = ways(self.server(**keys), 4)
        self.assertTrue(all(way.dc_id == 4 for way in found))
        return [str(way) for way in found]

    def test_each_framing(self) -> None:
        self.assertEqual(self.names(), list(OVER_TCP))
        self.assertEqual(len(OVER_TCP), 7)

    def test_tls_and_headers_that_must_come(self) -> None:
        self.assertEqual(self.names(Proto="websocket", TLS=self.tls), ["ws in TLS"])
        self.assertEqual(
            self.names(Proto="http", TLS=self.tls, PPV1=True),
            ["http in TLS after PROXY v1", "http in TLS after PROXY v2"],
        )
        self.assertEqual(
            self.names(Proto="http", ProxyProtocol={"Versions": [2]}), ["http after PROXY v2"]
        )

    def test_what_may_come(self) -> None:
        self.assertEqual(
            self.names(Proto="auto", TLS=self.tls, PPV1=True),
            [
                *(*OVER_TCP, "ws", "http"),
                *("obf-intermediate in TLS", "ws in TLS", "http in TLS"),
                *("obf-intermediate after PROXY v1", "obf-intermediate after PROXY v2"),
            ],
        )

    def test_a_shared_address(self) -> None:
        items = [{"Proto": proto, "Addresses": ["127.0.0.1:80"]} for proto in ("websocket", "http")]
        session = {"Embedded": {"Store": "memory"}}
        (server,) = self.config(session, Gnetway={"Server": items}).gnetway.servers
        self.assertEqual([str(way) for way in ways(server, 2)], ["ws", "http"])

    def test_those_that_are_alike_stand_together(self) -> None:
        some = [Way("ws"), Way("http"), Way("ws", tls=True), Way("ws", proxy_version=1)]
        self.assertEqual(_listed(some), "ws, http; ws in TLS; ws after PROXY v1")


class StandInTests(CheckCase):
    def test_nothing_that_runs_is_touched(self) -> None:
        etcd = {"Hosts": ["127.0.0.1:2379"]}
        server = {
            "Addresses": ["0.0.0.0:10443", "[::]:10443", "unix:/run/gnetway/a.sock"],
            "ProxyProtocol": {"TrustedNetworks": ["10.0.0.0/8"]},
        }
        config = self.config(
            {"Etcd": etcd},
            ListenOn="127.0.0.1:20110",
            Etcd=etcd,
            Workers=4,
            Admin={"Addresses": ["127.0.0.1:9100"]},
            Gnetway={"Server": [server], "Admission": {"Allow": ["10.0.0.0/8"]}, "StrictDC": 4},
        )
        stand_in = _stand_in(config, "/tmp/folder")
        (tried,) = stand_in.gnetway.servers
        first, second = map(str, tried.addresses)
        self.assertEqual(first, "127.0.0.1:0")
        self.assertTrue(second.startswith("unix:/tmp/folder/"), second)
        assert tried.proxy is not None and stand_in.session.embedded is not None
        self.assertIsNone(tried.proxy.trusted_networks)
        self.assertEqual(stand_in.session.embedded.store, MEMORY)
        for gone in (stand_in.etcd, stand_in.listen_on, stand_in.admin, stand_in.session.etcd):
            self.assertIsNone(gone)
        self.assertEqual((stand_in.workers, stand_in.gnetway.strict_dc), (1, 4))
        (key,) = stand_in.rsa_keys
        self.assertTrue(key.public_path.startswith("/tmp/folder/"))
        (network,) = stand_in.gnetway.admission.networks or ()
        self.assertEqual(network.networks, (ip_network("127.0.0.1"),))
        self.assertIsNone(stand_in.gnetway.admission.allow)
