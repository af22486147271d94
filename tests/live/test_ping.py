"""``gnetway ping``: every transport of a real gateway, and what it says where there is none."""

import io
import socket
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from threading import Thread
from unittest import TestCase

from gnetway.cli.main import main
from gnetway.crypto.rsa import RsaKey, generate_pem
from gnetway.testing.dial import TRANSPORTS
from tests.live.gateway import PATIENCE_SECONDS, rsa_pem
from tests.live.web.listeners import TLS, ListenerGateway
from tests.ports import free_port


def call(*arguments: str) -> tuple[int, str, str]:
    """Call ``gnetway ping`` and return its status and what it prints on both outputs."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            status = main(["ping", *arguments])
        except SystemExit as leaving:
            assert isinstance(leaving.code, int)
            status = leaving.code
    return status, out.getvalue(), errors.getvalue()


class PingTests(TestCase):
    gateway: ListenerGateway
    key: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = ListenerGateway(
            {
                "auto": {"Proto": "auto", "TLS": TLS, "PPV1": True},
                "tls": {"Proto": "websocket", "TLS": TLS},
                "http": {"Proto": "http"},
                "socket": {"Proto": "websocket"},
                "proxy": {"PPV1": True},
                "page": {"Proto": "auto", "AllowedOrigins": ["https://*.example.org"]},
            }
        )
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()
        cls.key = str(cls.gateway.public_key_file)

    def ping(self, listener: str, *more: str) -> str:
        """Ping a listener and return what is wrong."""
        status, out, errors = call(self.gateway.at(listener), "--key", self.key, *more)
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(errors.count("\n"), 1, errors)
        return errors

    def served(self, listener: str, *more: str, key: str = "") -> list[str]:
        """Ping a listener and return the lines of its output, without the address."""
        place = self.gateway.at(listener)
        status, out, errors = call(place, "--key", key or self.key, "--count", "2", *more)
        self.assertEqual((status, errors), (0, ""), more)
        lines = out.splitlines()
        self.assertTrue(all(line.startswith(f"{place}: ") for line in lines), out)
        return [line.removeprefix(f"{place}: ") for line in lines]

    def test_each_transport(self) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                made, *pongs, last = self.served("auto", "--transport", transport)
                self.assertRegex(made, f"^auth key made over {transport} in .* ms$")
                self.assertEqual(len(pongs), 2)
                self.assertRegex(pongs[1], r"^pong 2 after [0-9]+\.[0-9] ms$")
                self.assertRegex(last, r"^min/avg/max [0-9.]+/[0-9.]+/[0-9.]+ ms$")
        self.served("auto", key=str(self.gateway.key_file))

    def test_in_tls(self) -> None:
        for more, way in (
            (["--transport", "wss"], "ws in TLS"),
            (["--transport", "https"], "http in TLS"),
            (["--transport", "abridged", "--tls"], "abridged in TLS"),
        ):
            made, refused, *_ = self.served("auto", *more)
            self.assertIn(f" made over {way} in ", made)
            self.assertIn("browsers refuse its certificate: ", refused)

    def test_after_a_proxy_header(self) -> None:
        for version in ("v1", "v2"):
            made, *_ = self.served("proxy", "--proxy", version)
            self.assertIn(f" made over obf-intermediate after PROXY {version} in ", made)
        made, _, *_ = self.served("auto", "--proxy", "v2", "--transport", "wss")
        self.assertIn(" made over ws in TLS after PROXY v2 in ", made)
        said = self.ping("proxy")
        self.assertIn("obf-intermediate there, without TLS and without a PROXY header", said)
        said = self.ping("tls", "--proxy", "v1", "--transport", "wss")
        self.assertIn("begins no TLS: ", said)
        self.assertIn("after a PROXY header?", said)

    def test_a_page(self) -> None:
        for transport in ("ws", "http"):
            more = ("--transport", transport)
            self.served("page", *more, "--origin", "https://web.example.org")
            said = self.ping("page", *more, "--origin", "https://elsewhere.example")
            self.assertIn("HTTP/1.1 403", said)

    def test_another_key(self) -> None:
        with TemporaryDirectory() as folder:
            other = Path(folder, "other.key")
            other.write_bytes(generate_pem())
            fingerprint = RsaKey.from_pem(other.read_bytes()).fingerprint_hex
            status, _, errors = call(self.gateway.at("auto"), "--key", str(other))
        self.assertEqual(status, 1)
        self.assertIn(f"does not have the key of {other}, ", errors)
        self.assertIn(f"({fingerprint}), but: ", errors)
        self.assertIn(f"({self.gateway.rsa.fingerprint_hex})", errors)

    def test_another_transport(self) -> None:
        said = self.ping("tls", "--transport", "intermediate")
        self.assertIn("has closed the connection: does it speak intermediate there, with", said)
        self.assertIn("begins no TLS: ", self.ping("http", "--transport", "wss", "--timeout", "1"))
        self.assertIn("no packet by HTTP: HTTP/1.1 4", self.ping("socket", "--transport", "http"))
        said = self.ping("http", "--transport", "ws")
        self.assertIn("has answered what is not MTProto: no WebSocket: HTTP/1.1 404 ", said)

    def test_its_command_in_the_log(self) -> None:
        """It names the first listener that a plain client reaches."""
        self.assertIn(f" ping {self.gateway.address} --key {self.key}", self.gateway.log)


class NoGatewayTests(TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        key = Path(folder.name, "key")
        key.write_bytes(RsaKey.from_pem(rsa_pem()).public_pem)
        self.key = str(key)

    def fault(self, address: str, *more: str, key: str = "") -> str:
        status, out, errors = call(address, "--key", key or self.key, *more)
        self.assertEqual((status, out), (1, ""))
        self.assertTrue(errors.startswith("gnetway: "), errors)
        return errors

    def serve(self, talk: Callable[[socket.socket], object]) -> str:
        """Return the address of a server that talks so with the only client."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def once() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.settimeout(PATIENCE_SECONDS)
                talk(connected)

        thread = Thread(target=once)
        thread.start()
        self.addCleanup(thread.join, PATIENCE_SECONDS)
        return f"127.0.0.1:{listening.getsockname()[1]}"

    def test_nobody_listens(self) -> None:
        address = f"127.0.0.1:{free_port()}"
        self.assertIn(f"cannot connect to {address}: Connection refused", self.fault(address))
        self.assertIn("cannot connect to [::1]:1: ", self.fault("[::1]:1"))

    def test_transport_errors(self) -> None:
        for code, meaning in (
            (-404, "does not know the auth key"),
            (-429, "too many connections"),
            (-444, "see --dc"),
            (-1, "a code that no document knows"),
        ):

            def answer(connected: socket.socket, code: int = code) -> None:
                connected.recv(1 << 16)
                connected.sendall(pack("<ii", 4, code))

            said = self.fault(self.serve(answer), "--transport", "intermediate")
            self.assertIn(f"has answered {code}: ", said)
            self.assertIn(meaning, said)

    def test_silence(self) -> None:
        def wait(connected: socket.socket) -> None:
            while connected.recv(1 << 16):
                pass

        self.assertIn("has not answered in time", self.fault(self.serve(wait), "--timeout", "1"))

    def test_an_end(self) -> None:
        said = self.fault(self.serve(lambda connected: connected.recv(1 << 16)))
        self.assertIn("has closed the connection", said)

    def test_nonsense(self) -> None:
        def answer(connected: socket.socket) -> None:
            connected.recv(1 << 16)
            connected.sendall(pack("<i", 40) + bytes(40))

        said = self.fault(self.serve(answer), "--transport", "intermediate")
        self.assertIn("what is not MTProto: no unencrypted answer", said)

    def test_no_key(self) -> None:
        address = "127.0.0.1:1"
        missing = f"{self.key}.missing"
        self.assertIn(f"{missing}: No such file", self.fault(address, key=missing))
        Path(self.key).write_text("no key")
        self.assertIn(f"{self.key}: this is no key in PEM", self.fault(address))

    def test_misuse(self) -> None:
        for arguments in (
            ("127.0.0.1", "--key", self.key),
            (":10443", "--key", self.key),
            ("127.0.0.1:99999", "--key", self.key),
            ("127.0.0.1:1", "--key", self.key, "--count", "0"),
            ("127.0.0.1:1",),
        ):
            status, _, errors = call(*arguments)
            self.assertEqual(status, 2, errors)
