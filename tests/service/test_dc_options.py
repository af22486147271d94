"""Which listeners clients are told of, and under which addresses."""

import socket
from typing import cast

from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.service.backends import dc_addresses, resolve, resolve_public
from gnetway.service.listeners import Listener
from gnetway.service.sockets import SocketFile
from tests.config.test_pem_files import pair
from tests.service.cases import ServiceCase

NAMES = {
    ("gw.example.org", False): ["203.0.113.7", "203.0.113.8"],
    ("gw.example.org", True): ["203.0.113.7", "2001:db8::7"],
    ("six.example.org", True): ["2001:db8::6"],
}


def look_up(host: str, ipv6: bool) -> list[str]:
    if host[0].isdigit():
        return [host]
    try:
        return NAMES[host, ipv6]
    except KeyError:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None


class DcOptionsCase(ServiceCase):
    def servers(self, *servers: dict[str, object]) -> GatewayConfig:
        """Return a configuration of servers, each on 0.0.0.0:10443 unless it says otherwise."""
        usual = {"Addresses": ["0.0.0.0:10443"]}
        listed = [usual | server for server in servers]
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": listed})

    def listeners(self, config: GatewayConfig) -> list[Listener]:
        """Return what the addresses would be bound to, with 1 and so on where they say port 0."""
        made: list[Listener] = []
        nothing = cast(socket.socket, None)
        for server in config.gnetway.servers:
            for address in server.addresses:
                host, port = getattr(address, "host", ""), getattr(address, "port", 0)
                if host:
                    made.append(Listener(nothing, host, port or len(made) + 1, server=server))
                else:
                    file = SocketFile(str(self.directory))
                    made.append(Listener(nothing, file=file, server=server))
        return made

    def told(self, *servers: dict[str, object]) -> list[tuple[object, ...]]:
        config = self.servers(*servers)
        told = dc_addresses(self.listeners(config), resolve_public(config, look_up))
        return [tuple(address) for address in told]


class ListenerTests(DcOptionsCase):
    def test_native_clients_dial_tcp_and_auto(self) -> None:
        told = self.told(
            {"Proto": "tcp", "Addresses": ["0.0.0.0:10443", "192.0.2.1:5222", "[::]:0"]},
            {"Proto": "websocket", "Addresses": ["0.0.0.0:11443"]},
            {"Proto": "http", "Addresses": ["0.0.0.0:80"]},
            {"Proto": "auto", "Addresses": ["0.0.0.0:443"]},
        )
        self.assertEqual(
            told,
            [
                ("0.0.0.0", 10443, False),
                ("192.0.2.1", 5222, False),
                ("::", 3, False),
                ("0.0.0.0", 443, False),
            ],
        )

    def test_never_those_for_balancers(self) -> None:
        for proto in ("tcp", "auto"):
            for key in ({"PPV1": True}, {"ProxyProtocol": {"TrustedNetworks": ["10.0.0.0/8"]}}):
                self.assertEqual(self.told({"Proto": proto, **key}), [], key)

    def test_no_socket_in_the_file_system(self) -> None:
        unix = f"unix:{self.directory}/x.sock"
        self.assertEqual(self.told({"Addresses": [unix]}), [])

    def test_no_tls_around_tcp(self) -> None:
        """No client speaks it; `auto` takes plaintext beside it."""
        for name, content in zip(("cert.pem", "tls.pem"), pair(), strict=False):
            (self.directory / name).write_bytes(content)
        tls = {
            "CertFile": str(self.directory / "cert.pem"),
            "KeyFile": str(self.directory / "tls.pem"),
        }
        self.assertEqual(self.told({"Proto": "tcp", "TLS": tls}), [])
        self.assertEqual(self.told({"Proto": "auto", "TLS": tls}), [("0.0.0.0", 10443, False)])


class PublicAddressTests(DcOptionsCase):
    def test_in_the_place_of_the_own(self) -> None:
        told = self.told(
            {"PublicAddress": "203.0.113.9:443", "Addresses": ["0.0.0.0:10443", "0.0.0.0:5222"]},
            {"Addresses": ["192.0.2.1:80"]},
        )
        self.assertEqual(told[0], ("203.0.113.9", 443, False))
        self.assertEqual(set(told), {told[0], ("192.0.2.1", 80, False)})

    def test_port_of_the_listener(self) -> None:
        told = self.told(
            {"PublicAddress": "203.0.113.9", "Addresses": ["0.0.0.0:10443", "0.0.0.0:0"]}
        )
        self.assertEqual(told, [("203.0.113.9", 10443, False), ("203.0.113.9", 2, False)])

    def test_of_a_balancer(self) -> None:
        unix = f"unix:{self.directory}/x.sock"
        for server in ({"PPV1": True}, {"Addresses": [unix]}, {"Proto": "auto", "PPV1": True}):
            told = self.told({"PublicAddress": "203.0.113.9:443", **server})
            self.assertEqual(told, [("203.0.113.9", 443, False)])

    def test_without_effect_for_browsers(self) -> None:
        for proto in ("websocket", "http"):
            self.assertEqual(self.told({"Proto": proto, "PublicAddress": "none.invalid:1"}), [])

    def test_names(self) -> None:
        name = {"Host": "gw.example.org", "Port": 443}
        told = self.told({"PublicAddress": name})
        self.assertEqual(told, [("203.0.113.7", 443, False), ("203.0.113.8", 443, False)])
        told = self.told({"PublicAddress": name | {"IPv6": True}})
        self.assertEqual(told, [("203.0.113.7", 443, False), ("2001:db8::7", 443, False)])

    def test_media(self) -> None:
        media = {"Host": "203.0.113.9", "Port": 444, "MediaOnly": True}
        told = self.told({"PublicAddress": [media, "203.0.113.9:443"]})
        self.assertEqual(told, [("203.0.113.9", 444, True), ("203.0.113.9", 443, False)])

    def faults(self, *servers: dict[str, object]) -> list[str]:
        config = self.servers(*servers)
        return list(self.assertRaises(ConfigError, resolve_public, config, look_up).faults)

    def test_names_that_lead_nowhere(self) -> None:
        """Each is told: IPv6 alone is no help to who did not ask for it."""
        faults = self.faults(
            {"PublicAddress": ["none.invalid:443", "203.0.113.9:443"]},
            {"Addresses": ["0.0.0.0:1"], "PublicAddress": "six.example.org"},
        )
        self.assertEqual(len(faults), 2)
        self.assertTrue(faults[0].startswith("app: Gnetway.Server[0].PublicAddress[0]: found none"))
        self.assertIn("Server[1].PublicAddress: found six.example.org, which cannot be", faults[1])

    def test_nothing_but_media(self) -> None:
        media = {"Host": "203.0.113.9", "Port": 444, "MediaOnly": True}
        self.assertIn("only addresses with MediaOnly", self.faults({"PublicAddress": media})[0])
        self.told({"PublicAddress": media}, {"Addresses": ["0.0.0.0:1"]})


class ResolveTests(ServiceCase):
    def test_literals(self) -> None:
        self.assertEqual(resolve("203.0.113.7", False), ["203.0.113.7"])
        self.assertEqual(resolve("2001:db8::7", False), ["2001:db8::7"])

    def test_families(self) -> None:
        asked: list[int] = []

        def getaddrinfo(host: str, port: None, family: int, kind: int) -> list[object]:
            asked.append(family)
            found = [("203.0.113.7", 0), ("203.0.113.7", 0), ("2001:db8::7", 0, 0, 0)]
            return [(0, 0, 0, "", address) for address in found]

        self.patch(socket, "getaddrinfo", getaddrinfo)
        self.assertEqual(resolve("gw.example.org", True), ["203.0.113.7", "2001:db8::7"])
        resolve("gw.example.org", False)
        self.assertEqual(asked, [socket.AF_UNSPEC, socket.AF_INET])
