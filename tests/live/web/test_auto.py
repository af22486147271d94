"""Proto auto: every protocol on one port, in the clear, in TLS, over IPv6 and a unix socket."""

import http.client
import os
import socket
import ssl
from unittest import TestCase

from tests.connection.styles import STYLES
from tests.live.client import LiveClient, Stream
from tests.live.gateway import PATIENCE_SECONDS, run
from tests.live.handler import cdn_file, echo
from tests.live.loadgen import loadgen
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

UNIX = ("auto", "tcp", "websocket", "http")


class AutoTests(TestCase):
    gateway: ListenerGateway
    port: int

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = ListenerGateway({"auto": {"Proto": "auto", "TLS": TLS}})
        cls.addClassCleanup(cls.gateway.remove)
        servers = cls.gateway.config["Gnetway"]["Server"]  # type: ignore[index]
        cls.port = cls.gateway.ports["auto"]
        servers[1]["Addresses"].append(f"[::1]:{cls.port}")
        servers[1]["Addresses"].append("unix:auto.sock")
        cls.gateway.write_config()
        cls.gateway.start()

    def converse(self, over: Stream) -> None:
        """Make a key, and have something echoed that fills several segments."""
        with LiveClient(self.gateway, over=over) as client:
            session = client.make_key()
            data = os.urandom(200_000)
            self.assertEqual(client.call(session, echo(data)), cdn_file(data))

    def test_it_is_announced(self) -> None:
        for address in (f"127.0.0.1:{self.port}", f"[::1]:{self.port}"):
            self.assertIn(f"listening on {address} (auto, TLS)", self.gateway.log)
        socket_file = self.gateway.folder / "auto.sock"
        self.assertIn(f"listening on unix:{socket_file} (auto, TLS)", self.gateway.log)

    def test_every_style_of_tcp(self) -> None:
        for style in STYLES:
            with (
                self.subTest(style=style),
                LiveClient(self.gateway, style, over=dial(self.port)) as client,
            ):
                client.ping(client.make_key())

    def test_websocket(self) -> None:
        self.converse(WebSocketStream(dial(self.port)))

    def test_inside_of_tls(self) -> None:
        ca_file = self.gateway.ca_file
        self.converse(tls_over(dial(self.port), ca_file))
        self.converse(WebSocketStream(tls_over(dial(self.port), ca_file)))

    def test_over_ipv6(self) -> None:
        with LiveClient(self.gateway, over=self.dial_v6()) as client:
            self.assertEqual(who_am_i(client, client.make_key()), "::1")
        self.converse(WebSocketStream(tls_over(self.dial_v6())))

    def test_over_a_unix_socket(self) -> None:
        path = str(self.gateway.folder / "auto.sock")
        with LiveClient(self.gateway, over=dial_unix(path)) as client:
            self.assertEqual(who_am_i(client, client.make_key()), "unix")
        self.converse(WebSocketStream(dial_unix(path)))
        self.converse(tls_over(dial_unix(path), self.gateway.ca_file))

    def test_http(self) -> None:
        context = ssl.create_default_context(cafile=str(self.gateway.ca_file))
        for connection in (
            http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_SECONDS),
            http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=PATIENCE_SECONDS, context=context
            ),
        ):
            # One connection for both: it is told apart once.
            for method, path, status in (("GET", "/elsewhere", 404), ("GET", "/api", 405)):
                connection.request(method, path)
                answer = connection.getresponse()
                answer.read()
                self.assertEqual(answer.status, status)
            connection.close()

    def test_keys_by_an_independent_client(self) -> None:
        program = loadgen()
        for transport in ("obf-padded", "full", "ws", "http"):
            for address in (f"127.0.0.1:{self.port}", f"[::1]:{self.port}"):
                with self.subTest(transport=transport, address=address):
                    command = [program, "client", "-mode=handshake", f"-addr={address}"]
                    command += [f"-transport={transport}", "-conns=8", "-duration=1s"]
                    command += [f"-rsa={self.gateway.public_key_file}", "-warmup=0s"]
                    done = run(*command)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertIn('"errors":0,', done.stdout)

    def dial_v6(self) -> socket.socket:
        return socket.create_connection(("::1", self.port), PATIENCE_SECONDS)


class UnixTests(TestCase):
    """Sockets in the file system, for each protocol, over the life of a gateway."""

    def setUp(self) -> None:
        self.gateway = ListenerGateway(
            {
                proto: {"Proto": proto, "Addresses": [f"unix:{proto}.sock"], "UnixMode": "0600"}
                for proto in UNIX
            }
        )
        self.addCleanup(self.gateway.remove)
        self.files = [self.gateway.folder / f"{proto}.sock" for proto in UNIX]

    def test_each_protocol(self) -> None:
        self.gateway.start()
        auto, tcp, websocket, _ = map(str, self.files)
        streams: list[Stream] = [dial_unix(auto), WebSocketStream(dial_unix(auto)), dial_unix(tcp)]
        for stream in [*streams, WebSocketStream(dial_unix(websocket))]:
            with LiveClient(self.gateway, over=stream) as client:
                self.assertEqual(who_am_i(client, client.make_key()), "unix")

    def test_http(self) -> None:
        curl = need_program("curl")
        self.gateway.start()
        done = run(curl, "-sS", "--unix-socket", str(self.files[3]), "http://gateway/api", "-i")
        self.assertIn("HTTP/1.1 405 ", done.stdout, done.stderr)

    def test_mode_and_removal(self) -> None:
        self.gateway.start()
        for file in self.files:
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.gateway.stop()
        self.assertEqual([file for file in self.files if file.exists()], [])
        self.assertNotIn("Traceback", self.gateway.log)

    def test_a_crash_leaves_sockets_that_give_way(self) -> None:
        self.gateway.start()
        assert self.gateway._process is not None
        self.gateway._process.kill()
        self.gateway.wait()
        self.assertTrue(all(file.exists() for file in self.files))
        self.gateway.start()
        with LiveClient(self.gateway, over=dial_unix(str(self.files[0]))) as client:
            client.ping(client.make_key())

    def test_one_that_is_in_use_does_not(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(str(self.files[0]))
        listener.listen()
        self.files[1].write_text("no socket")
        with self.assertRaises(AssertionError):
            self.gateway.start()
        for index, file in enumerate(self.files[:2], 1):
            self.assertIn(
                f"Gnetway.Server[{index}].Addresses[0]: found unix:{file}, which cannot be bound:"
                " Address already in use; allowed: an address that is free",
                self.gateway.log,
            )
        self.assertEqual([file.exists() for file in self.files], [True, True, False, False])
