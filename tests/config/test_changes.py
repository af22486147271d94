"""What a reload takes of another configuration, and the digest of one."""

from collections.abc import Mapping
from typing import Any

from gnetway.config.changes import Changes, changes, digest
from gnetway.config.model import GatewayConfig
from gnetway.crypto.rsa import generate_pem
from tests.net.certificates import Files, Pair
from tests.service.cases import ServiceCase


def merged(keys: dict[str, Any], others: Mapping[str, object]) -> dict[str, Any]:
    """Return nested mappings with other values."""
    result = dict(keys)
    for name, value in others.items():
        before = result.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            value = merged(before, value)
        result[name] = value
    return result


class ChangesCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.keys: dict[str, Any] = {
            "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:4430"]}]},
            "Session": {"Endpoints": ["10.0.0.7:20120"]},
            "ListenOn": "127.0.0.1:20110",
        }

    def read(self, **others: object) -> GatewayConfig:
        keys = merged(self.keys, others)
        return self.config(keys.pop("Session"), **keys)

    def changes(self, **others: object) -> Changes:
        return changes(self.read(), self.read(**others))

    def waiting(self, **others: object) -> tuple[str, ...]:
        """Return what needs a restart, where nothing else has changed."""
        running = self.read()
        found = changes(running, self.read(**others))
        self.assertEqual((found.config, found.taken), (running, ()))
        return found.waiting

    def write_key(self, name: str) -> dict[str, object]:
        (self.directory / name).write_bytes(generate_pem())
        return {"KeyFile": self.directory / name}


class SectionTests(ChangesCase):
    def test_nothing(self) -> None:
        self.assertEqual(self.changes(), (self.read(), (), ()))

    def test_limits_admission_and_drain(self) -> None:
        others = {
            "Limits": {"IdleSeconds": 60},
            "Admission": {"Deny": ["192.0.2.0/24"], "Connections": 7},
            "Drain": {"PerSecond": 3},
        }
        found = self.changes(Gnetway=others)
        self.assertEqual(
            found.taken,
            (
                "Gnetway.Limits.IdleSeconds",
                "Gnetway.Admission.Connections",
                "Gnetway.Admission.Deny",
                "Gnetway.Drain.PerSecond",
            ),
        )
        self.assertEqual(found.config, self.read(Gnetway=others))
        self.assertEqual(found.waiting, ())

    def test_levels_of_the_log(self) -> None:
        running = self.read(Log={"Level": "info"})
        others = {"Level": "error", "Levels": {"gnetway.net": "debug"}, "Mode": "file"}
        found = changes(running, self.read(Log=others))
        self.assertEqual(found.taken, ("Log.Level", "Log.Levels"))
        self.assertEqual(found.waiting, ("Log.Mode",))
        self.assertNotEqual(digest(running), digest(found.config))

    def test_what_needs_a_restart_stays_as_it_was(self) -> None:
        limits = {"HandshakeThreads": 5, "MemoryBudget": 512}
        self.assertEqual(
            self.waiting(
                Name="another",
                ListenOn="127.0.0.1:20111",
                UseStreamSession=True,
                Workers=2,
                Gnetway={"StrictDC": 4, "Limits": limits},
                Session={"Timeout": 5000},
                Rpc={"MaxStreams": 200},
                Admin={"Addresses": ["127.0.0.1:11080"]},
            ),
            (
                "Gnetway.StrictDC",
                "Gnetway.Limits.MemoryBudget",
                "Gnetway.Limits.HandshakeThreads",
                "Session.Timeout",
                "Name",
                "ListenOn",
                "UseStreamSession",
                "Rpc.MaxStreams",
                "Workers",
                "Admin",
            ),
        )

    def test_it_is_named_again(self) -> None:
        others: dict[str, object] = {"Name": "another", "Gnetway": {"Drain": {"PerSecond": 3}}}
        again = changes(self.changes(**others).config, self.read(**others))
        self.assertEqual((again.taken, again.waiting), ((), ("Name",)))

    def test_nodes_are_taken_where_they_are_a_list(self) -> None:
        found = self.changes(Session={"Endpoints": ["10.0.0.8:20120"]})
        self.assertEqual(found.taken, ("Session.Endpoints",))
        self.assertEqual(found.config.session.endpoints, ("10.0.0.8:20120",))

    def test_another_backend_is_not(self) -> None:
        running = self.read()
        found = changes(running, self.embedded())
        self.assertEqual(found.config.session, running.session)
        self.assertIn("Session", found.waiting)

    def test_packets_that_the_carrier_does_not_take_need_a_restart(self) -> None:
        limits = {"MaxPacketBytes": 100 << 20}
        rpc = {"MaxMessageBytes": 128 << 20}
        found = changes(self.read(), self.read(Gnetway={"Limits": limits}, Rpc=rpc))
        self.assertEqual(found.taken, ())
        self.assertEqual(found.waiting, ("Rpc.MaxMessageBytes", "Gnetway.Limits.MaxPacketBytes"))
        self.assertEqual(found.config.gnetway.limits.max_packet_bytes, 16 << 20)

    def test_others_are_taken(self) -> None:
        found = self.changes(Gnetway={"Limits": {"MaxPacketBytes": 20 << 20}})
        self.assertEqual(found.taken, ("Gnetway.Limits.MaxPacketBytes",))

    def test_rsa_keys(self) -> None:
        both = [self.write_key("one"), self.write_key("two")]
        running = self.read(RSAKey=both[:1])
        found = changes(running, self.read(RSAKey=both))
        self.assertEqual(found.taken, ("RSAKey",))
        self.assertEqual(len(found.config.rsa_keys), 2)
        self.write_key("one")
        self.assertEqual(changes(running, self.read(RSAKey=both[:1])).taken, ("RSAKey",))


class ListenerTests(ChangesCase):
    def servers(self, *servers: Mapping[str, object]) -> GatewayConfig:
        return self.read(Gnetway={"Server": list(servers)})

    def test_who_may_come_and_from_where(self) -> None:
        place: dict[str, object] = {"Proto": "websocket", "Addresses": ["127.0.0.1:1"]}
        web: dict[str, object] = {
            "AllowedOrigins": ["https://a.example"],
            "TrustedProxies": ["10.0.0.0/8"],
            "ProxyProtocol": {"TrustedNetworks": ["10.0.0.0/8"]},
            "WebSocket": {"PingSeconds": 20},
        }
        found = changes(self.servers(place), self.servers(place | web))
        self.assertEqual(
            found.taken,
            (
                "Gnetway.Server[0].ProxyProtocol",
                "Gnetway.Server[0].AllowedOrigins",
                "Gnetway.Server[0].TrustedProxies",
                "Gnetway.Server[0].WebSocket.PingSeconds",
            ),
        )
        self.assertEqual(found.config, self.servers(place | web))

    def test_another_certificate_in_the_same_files(self) -> None:
        files = Files(self.directory / "tls")
        tls = {"CertFile": files.cert, "KeyFile": files.key}
        issued = []
        for name in ("first", "second"):
            files.write(Pair(name))
            issued.append(self.servers({"Addresses": ["127.0.0.1:1"], "TLS": tls}))
        self.assertEqual(
            changes(*issued).taken,
            ("Gnetway.Server[0].TLS.CertFile", "Gnetway.Server[0].TLS.KeyFile"),
        )
        self.assertNotEqual(*map(digest, issued))

    def test_a_listener_is_the_same_wherever_it_stands(self) -> None:
        first, second = {"Addresses": ["127.0.0.1:1"]}, {"Addresses": ["127.0.0.1:2"]}
        running = self.servers(first, second)
        self.assertEqual(changes(running, self.servers(second, first)), (running, (), ()))

    def test_one_that_moves_needs_a_restart(self) -> None:
        running = self.servers({"Addresses": ["127.0.0.1:1"]})
        found = changes(running, self.servers({"Addresses": ["127.0.0.1:2"], "PPV1": True}))
        self.assertEqual(found.waiting, ("Gnetway.Server[0].Addresses",))
        self.assertEqual(found.taken, ("Gnetway.Server[0].PPV1",))
        (server,) = found.config.gnetway.servers
        self.assertEqual(server.addresses, running.gnetway.servers[0].addresses)

    def test_one_that_speaks_something_else_does_too(self) -> None:
        running = self.servers({"Addresses": ["127.0.0.1:1"]})
        found = changes(running, self.servers({"Addresses": ["127.0.0.1:1"], "Proto": "http"}))
        self.assertEqual((found.config, found.taken), (running, ()))
        self.assertEqual(found.waiting, ("Gnetway.Server[0].Proto",))

    def test_one_more_and_one_less(self) -> None:
        first, second = {"Addresses": ["127.0.0.1:1"]}, {"Addresses": ["127.0.0.1:2"]}
        both, running = self.servers(first, second), self.servers(second)
        self.assertEqual(changes(running, both), (running, (), ("Gnetway.Server[0]",)))
        self.assertEqual(changes(both, running), (both, (), ("Gnetway.Server[0]",)))


class DigestTests(ChangesCase):
    def test_defaults_count_as_written(self) -> None:
        written = self.read(Gnetway={"Limits": {"IdleSeconds": 300}})
        self.assertEqual(digest(self.read()), digest(written))
        self.assertRegex(digest(written), r"\A[0-9a-f]{16}\Z")

    def test_each_key_counts(self) -> None:
        digests = {
            digest(self.read(**others))
            for others in (
                {},
                {"Gnetway": {"Limits": {"IdleSeconds": 301}}},
                {"Gnetway": {"Admission": {"Deny": ["192.0.2.0/24"]}}},
                {"Gnetway": {"Server": [{"Addresses": ["127.0.0.1:4431"]}]}},
                {"Gnetway": {"Server": [{"Addresses": ["127.0.0.1:4430"], "Proto": "http"}]}},
                {"RSAKey": [self.write_key("another")]},
            )
        }
        self.assertEqual(len(digests), 6)

    def test_no_secret_is_in_it(self) -> None:
        """But whether there is one."""

        def of(**admin: object) -> str:
            return digest(self.read(Admin={"Addresses": ["127.0.0.1:1"], **admin}))

        self.assertEqual(of(Token="a" * 16), of(Token="b" * 16))
        self.assertNotEqual(of(), of(Token="a" * 16))

    def test_the_place_of_a_key_is_not(self) -> None:
        key = self.write_key("here")
        there = self.directory / "there"
        there.write_bytes((self.directory / "here").read_bytes())
        self.assertEqual(
            digest(self.read(RSAKey=[key])), digest(self.read(RSAKey=[{"KeyFile": there}]))
        )
