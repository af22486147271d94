"""Debian's haproxy in front, as docs/web.md sets it up: clients are known by their addresses."""

import subprocess
import time
from unittest import TestCase

from tests.live.client import LiveClient, Stream
from tests.live.gateway import until
from tests.live.web.listeners import (
    TLS,
    ListenerGateway,
    WebSocketStream,
    dial,
    dial_unix,
    tls_over,
)
from tests.live.web.who import who_am_i
from tests.needs import need_program
from tests.ports import free_port

CLIENT = "127.0.0.9"

#: Listeners of the gateway, by the name of the frontend before each.
LISTENERS: dict[str, dict[str, object]] = {
    "tcp": {"Proto": "tcp"},
    "websocket": {"Proto": "websocket"},
    "auto": {"Proto": "auto", "TLS": TLS},
}

PROXY = {"TrustedNetworks": ["127.0.0.1"]}

CONFIG = """\
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
"""

FRONTEND = """\
listen {name}-{send}
  bind 127.0.0.1:{port}
  server gateway {address} {send} check inter 100ms
"""


class HaproxyTests(TestCase):
    gateway: ListenerGateway
    ports: dict[tuple[str, str], int]
    process: "subprocess.Popen[bytes]"

    @classmethod
    def setUpClass(cls) -> None:
        need_program("haproxy")
        cls.gateway = ListenerGateway(
            {name: {**listener, "ProxyProtocol": PROXY} for name, listener in LISTENERS.items()}
            | {"unix": {"ProxyProtocol": PROXY, "Addresses": ["unix:gateway.sock"]}}
        )
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()
        addresses = {name: f"127.0.0.1:{cls.gateway.ports[name]}" for name in LISTENERS}
        addresses["unix"] = f"unix@{cls.gateway.folder}/gateway.sock"
        cls.ports = {
            (name, send): free_port()
            for name in addresses
            for send in ("send-proxy", "send-proxy-v2")
        }
        config = cls.gateway.folder / "haproxy.cfg"
        config.write_text(
            CONFIG
            + "".join(
                FRONTEND.format(name=name, send=send, port=port, address=addresses[name])
                for (name, send), port in cls.ports.items()
            )
        )
        with (cls.gateway.folder / "haproxy.log").open("wb") as log:
            cls.process = subprocess.Popen(
                ["haproxy", "-db", "-f", str(config)], stdout=log, stderr=log
            )
        cls.addClassCleanup(cls.process.wait)
        cls.addClassCleanup(cls.process.kill)
        until(cls.answers, "haproxy")

    @classmethod
    def answers(cls) -> bool:
        try:
            for port in cls.ports.values():
                dial(port).close()
        except ConnectionRefusedError:
            return False
        return True

    def assert_known(self, over: Stream) -> None:
        with LiveClient(self.gateway, over=over) as client:
            self.assertEqual(who_am_i(client, client.make_key()), CLIENT)

    def test_both_versions(self) -> None:
        for (name, send), port in self.ports.items():
            with self.subTest(name=name, send=send):
                if name == "websocket":
                    self.assert_known(WebSocketStream(dial(port, CLIENT)))
                    continue
                self.assert_known(dial(port, CLIENT))
                if name == "auto":
                    self.assert_known(WebSocketStream(dial(port, CLIENT)))
                    over = WebSocketStream(tls_over(dial(port, CLIENT), self.gateway.ca_file))
                    self.assert_known(over)

    def test_its_checks_are_not_told(self) -> None:
        """Eighty a second, of ports that it finds in order."""
        before = self.gateway.log
        time.sleep(1)
        self.assertEqual(self.gateway.log, before)
        haproxy_log = (self.gateway.folder / "haproxy.log").read_text()
        self.assertNotIn(" is DOWN", haproxy_log)

    def test_past_haproxy(self) -> None:
        """Nobody else may claim an address, nor come without one."""
        for name in ("tcp", "websocket"):
            with dial(self.gateway.ports[name], CLIENT) as connected:
                self.assertEqual(connected.recv(1), b"")
        with dial_unix(str(self.gateway.folder / "gateway.sock")) as connected:
            connected.sendall(b"\xef")
            self.assertEqual(connected.recv(1), b"")
