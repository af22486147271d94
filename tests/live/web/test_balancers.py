"""The recipes of deploy/ for haproxy, nginx and Caddy, by the real programs and a real gateway.

Each is taken as it stands, with other ports, certificates and times.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import TestCase

import yaml

from tests.live.client import LiveClient, Stream
from tests.live.gateway import PATIENCE_SECONDS, ROOT, run, until
from tests.live.web.listeners import ListenerGateway, WebSocketStream, dial, tls_over
from tests.live.web.who import who_am_i
from tests.needs import need_program
from tests.ports import free_port

DEPLOY = ROOT / "deploy"

#: Where the test's clients come from.
CLIENT = "127.0.0.9"

#: Of nginx's times.
WAYS = ("read", "send")

#: Seconds after which a balancer closes what is silent; pings come each second.
IDLE_SECONDS = 4


def recipe(name: str, *changes: tuple[str, str]) -> str:
    """Return a file of deploy/ with texts changed, each of which it has."""
    text = (DEPLOY / name).read_text()
    for before, after in changes:
        assert before in text, f"deploy/{name} has no {before}"
        text = text.replace(before, after)
    return text


def listeners() -> dict[str, dict[str, object]]:
    """Return the listeners that the recipes have behind them, on ports of the test's own."""
    found: dict[str, dict[str, object]] = {}
    config = yaml.safe_load((DEPLOY / "gnetway-balanced.yaml").read_text())
    for server in config["Gnetway"]["Server"]:
        del server["Addresses"]
        found[server["Proto"]] = server
    return found


class BalancerTests(TestCase):
    gateway: ListenerGateway

    @classmethod
    def setUpClass(cls) -> None:
        served = listeners()
        for server in (served["auto"], served["websocket"]):
            server["WebSocket"] = {"PingSeconds": 1}
        served["unpinged"] = served["websocket"] | {"WebSocket": {"PingSeconds": 3600}}
        cls.gateway = ListenerGateway(served)
        # Both are behind one address of nginx's and Caddy's.
        servers = cls.gateway.config["Gnetway"]["Server"]  # type: ignore[index]
        servers[-2]["Addresses"] = [cls.gateway.at("websocket")]
        assert servers[-2]["Proto"] == "http"
        cls.gateway.config["Admin"] = {"Addresses": [f"127.0.0.1:{free_port()}"]}
        cls.gateway.write_config()
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    @property
    def folder(self) -> Path:
        return self.gateway.folder

    def start(self, *command: str, port: int, environment: dict[str, str] | None = None) -> None:
        """Start a balancer that listens at ``port`` once it is there."""
        log = self.folder / f"balancer-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                env=os.environ | (environment or {}),
            )
        self.addCleanup(process.wait, PATIENCE_SECONDS)
        self.addCleanup(process.terminate)

        def answers() -> bool:
            self.assertIsNone(process.poll(), log.read_text())
            try:
                dial(port).close()
            except ConnectionRefusedError:
                return False
            return True

        until(answers, command[0])

    def write(self, name: str, text: str) -> str:
        file = self.folder / name
        file.write_text(text)
        return str(file)

    def haproxy(self, *changes: tuple[str, str]) -> int:
        """Start haproxy by the recipe, and return its port."""
        need_program("haproxy")
        port = free_port()
        (admin,) = self.gateway.config["Admin"]["Addresses"]  # type: ignore[index]
        text = recipe(
            "haproxy.cfg",
            ("maxconn 100000", "maxconn 500"),
            ("bind :443", f"bind 127.0.0.1:{port}"),
            ("bind :5222", f"bind 127.0.0.1:{free_port()}"),
            ("127.0.0.1:10443", self.gateway.at("auto")),
            ("port 11080", f"port {admin.partition(':')[2]}"),
            *changes,
        )
        self.start("haproxy", "-db", "-f", self.write(f"haproxy-{port}.cfg", text), port=port)
        return port

    def nginx(self, *changes: tuple[str, str], web: str = "websocket") -> tuple[int, int]:
        """Start nginx by the recipe, and return the ports for native and for web clients."""
        need_program("nginx")
        native, port = free_port(), free_port()
        text = recipe(
            "nginx.conf",
            ("/run/nginx.pid", f"{self.folder}/nginx-{port}.pid"),
            ("listen 5222", f"listen 127.0.0.1:{native}"),
            ("listen 443", f"listen 127.0.0.1:{port}"),
            ("127.0.0.1:10443", self.gateway.at("auto")),
            ("127.0.0.1:11443", self.gateway.at(web)),
            ("worker_connections 50000", "worker_connections 500"),
            ("worker_rlimit_nofile 200000", "worker_rlimit_nofile 1000"),
            ("worker_processes auto", "worker_processes 1"),
            *self.certificates(),
            *changes,
        )
        file = self.write(f"nginx-{port}.conf", text)
        error_log = str(self.folder / "nginx-error.log")
        self.start("nginx", "-g", "daemon off;", "-e", error_log, "-c", file, port=port)
        return native, port

    def certificates(self) -> list[tuple[str, str]]:
        live = "/etc/letsencrypt/live/gateway.example.org"
        return [
            (f"{live}/fullchain.pem", str(self.gateway.tls_folder / "server.pem")),
            (f"{live}/privkey.pem", str(self.gateway.tls_folder / "server.key")),
        ]

    def assert_known(self, over: Stream) -> None:
        """Make a key, and be known by the address that the client has."""
        with LiveClient(self.gateway, over=over) as client:
            self.assertEqual(who_am_i(client, client.make_key()), CLIENT)

    def assert_pings(self, port: int, *transports: str) -> None:
        key = str(self.gateway.public_key_file)
        address = f"127.0.0.1:{port}"
        for transport in transports:
            ping = ("ping", address, "--key", key, "--count", "1", "--transport", transport)
            done = run(sys.executable, "-m", "gnetway", *ping)
            self.assertEqual(done.returncode, 0, f"{transport}: {done.stderr}")
            self.assertIn(": pong 1 after ", done.stdout)

    def test_haproxy(self) -> None:
        port = self.haproxy()
        self.assert_known(dial(port, CLIENT))
        self.assert_known(WebSocketStream(dial(port, CLIENT)))
        self.assert_pings(port, "http", "full")

    def test_nginx(self) -> None:
        native, port = self.nginx()
        self.assert_known(dial(native, CLIENT))
        self.assert_known(WebSocketStream(self.in_tls(port)))
        self.assert_pings(port, "https")

    def test_caddy(self) -> None:
        need_program("caddy")
        port = free_port()
        (_, certificate), (_, key) = self.certificates()
        text = recipe(
            "Caddyfile",
            ("gateway.example.org {", f"https://:{port} {{\n\ttls {certificate} {key}"),
            ("127.0.0.1:11443", self.gateway.at("websocket")),
        )
        file = self.write("Caddyfile", text)
        # Its own site for operators, and its folders, are the test's.
        environment = {"CADDY_ADMIN": "off", "HOME": str(self.folder)}
        environment |= {f"XDG_{kind}_HOME": str(self.folder) for kind in ("DATA", "CONFIG")}
        self.start("caddy", "run", "--config", file, port=port, environment=environment)
        self.assert_known(WebSocketStream(self.in_tls(port)))
        self.assert_pings(port, "https")

    def in_tls(self, port: int) -> Stream:
        return tls_over(dial(port, CLIENT), self.gateway.ca_file)

    def test_pings_keep_what_a_balancer_would_close(self) -> None:
        """Of three silent clients that one is closed which is not pinged."""
        short = f"{IDLE_SECONDS}s"
        haproxy = self.haproxy(*[(f"{one} 6m", f"{one} {short}") for one in ("client", "server")])
        times = [(f"proxy_{one}_timeout 75s", f"proxy_{one}_timeout {short}") for one in WAYS]
        _, nginx = self.nginx(*times)
        _, unpinged = self.nginx(*times, web="unpinged")
        silent = {
            "haproxy": WebSocketStream(dial(haproxy, CLIENT)),
            "nginx": WebSocketStream(self.in_tls(nginx)),
            "unpinged": WebSocketStream(self.in_tls(unpinged)),
        }
        for stream in silent.values():
            self.addCleanup(stream.close)
        ended = {name: listen(stream) for name, stream in silent.items()}
        end = time.monotonic() + IDLE_SECONDS + 1
        while time.monotonic() < end:
            for hear in ended.values():
                hear()
        until(ended["unpinged"], "nginx closes what is silent")
        for name in ("haproxy", "nginx"):
            self.assertFalse(ended[name](), name)
            silent[name].settimeout(PATIENCE_SECONDS)
            self.assert_known(silent[name])
        # It has asked the admin site several times by now.
        self.assertNotIn(" is DOWN", (self.folder / f"balancer-{haproxy}.log").read_text())


def listen(stream: WebSocketStream) -> Callable[[], bool]:
    """Return what answers pings for a moment, and tells whether the connection has ended."""
    stream.settimeout(0.1)
    ended = False

    def hear() -> bool:
        nonlocal ended
        if not ended:
            try:
                ended = stream.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                ended = True
        return ended

    return hear
