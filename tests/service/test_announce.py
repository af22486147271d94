import shlex
from collections.abc import Sequence

from twisted.logger import capturedLogs, formatEvent

from gnetway.config import files
from gnetway.config.files import KNOWN_TO_ALL
from gnetway.config.load import OLDER_NOTE, load_mapping
from gnetway.config.model import share_out
from gnetway.crypto import powers
from gnetway.crypto.rsa import RsaKey
from gnetway.service.announce import SlowPath, announce
from gnetway.service.listeners import bind_all, close_all
from tests.crypto.openssl_case import machine_libcrypto
from tests.net.certificates import Files, Pair
from tests.service.cases import ServiceCase, rsa_pem

#: An item of Gnetway.Server.
Server = dict[str, object]


class AnnounceTests(ServiceCase):
    slow: Sequence[SlowPath] = ()

    def lines(self, *servers: Server) -> list[str]:
        config = self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": list(servers)})
        listeners = bind_all(config)
        self.addCleanup(close_all, listeners)
        with capturedLogs() as logs:
            announce(share_out(config, 4 << 30), listeners, "a fake", self.slow)
        return [str(formatEvent(log)) for log in logs]

    def tried(self, *servers: Server) -> list[str]:
        """Return the addresses that are there to be tried, with their transport if it is told."""
        lines = [line for line in self.lines(*servers) if line.startswith("try it: ")]
        commands = [shlex.split(line.removeprefix("try it: ")) for line in lines]
        # python -m gnetway ping ADDRESS --key PEM [--transport NAME]
        return [" ".join([command[4], *command[8:]]) for command in commands]

    def test_how_the_memory_is_shared_out(self) -> None:
        (line,) = [line for line in self.lines({"Addresses": ["127.0.0.1:0"]}) if "memory" in line]
        self.assertEqual(
            line,
            "memory that clients can have held, in each process: 1024 MiB; MaxUnfinishedBytes 256"
            " MiB, MaxUnsentBytes 256 MiB, AuthKeyCacheM 10 MiB, MaxExchanges 16 MiB,"
            " Session.Embedded.MaxUnackedBytes 64 MiB",
        )

    def test_what_is_spoken_where(self) -> None:
        files = Files(self.directory / "tls")
        files.write(Pair("gateway"))
        tls = {"CertFile": files.cert, "KeyFile": files.key}
        lines = self.lines(
            {"Addresses": ["127.0.0.1:0", f"unix:{self.directory}/a.sock"]},
            {"Proto": "websocket", "Addresses": ["[::1]:0"], "TLS": tls},
            {"Proto": "auto", "Addresses": ["127.0.0.1:0"], "TLS": tls, "PPV1": True},
            {"Proto": "websocket", "Addresses": [f"unix:{self.directory}/b.sock"]},
            {"Proto": "http", "Addresses": [f"unix:{self.directory}/b.sock"]},
        )
        told = [line for line in lines if line.startswith("listening on ")]
        for line, form in zip(
            told,
            (
                r"listening on 127\.0\.0\.1:\d+ \(tcp\)",
                rf"listening on unix:{self.directory}/a\.sock \(tcp\)",
                r"listening on \[::1\]:\d+ \(websocket, TLS\)",
                r"listening on 127\.0\.0\.1:\d+ \(auto, TLS, PROXY protocol\)",
                rf"listening on unix:{self.directory}/b\.sock \(websocket and http\)",
            ),
            strict=True,
        ):
            self.assertRegex(line, f"^{form}$")

    def test_what_could_be_faster(self) -> None:
        self.slow = [SlowPath("the loop for epoll", "the reactor is PollReactor")]
        lines = self.lines({"Addresses": ["127.0.0.1:0"]})
        self.assertIn("slower without the loop for epoll: the reactor is PollReactor", lines)

    def test_the_first_that_a_plain_client_reaches_is_to_be_tried(self) -> None:
        unix: Server = {"Addresses": [f"unix:{self.directory}/a.sock"]}
        balanced: Server = {"Addresses": ["127.0.0.1:0"], "PPV1": True}
        (address,) = self.tried(unix, balanced, {"Addresses": ["[::1]:0"]})
        self.assertRegex(address, r"^\[::1\]:\d+$")
        websocket: Server = {"Proto": "websocket", "Addresses": ["127.0.0.1:0"]}
        (address,) = self.tried(balanced, websocket)
        self.assertRegex(address, r"^127\.0\.0\.1:\d+ ws$")
        (address,) = self.tried({"Proto": "auto", "Addresses": ["0.0.0.0:0"], "PPV1": True})
        self.assertTrue(address.startswith("127.0.0.1:"))

    def test_the_layout_before_gnetway(self) -> None:
        config = load_mapping(
            {
                "RSAKey": [{"KeyFile": str(self.directory / "key.pem")}],
                "Server": {"Addrs": ["127.0.0.1:0"]},
                "Session": {"Embedded": {"Store": "memory"}},
            }
        )
        with capturedLogs() as logs:
            announce(config, [], "a fake", [])
        self.assertIn(OLDER_NOTE, [str(formatEvent(log)) for log in logs])

    def test_a_key_that_everybody_has(self) -> None:
        line = "ANYBODY CAN POSE AS THIS SERVER"
        self.assertFalse(
            [told for told in self.lines({"Addresses": ["127.0.0.1:0"]}) if line in told]
        )
        fingerprint = RsaKey.from_pem(rsa_pem()).fingerprint % (1 << 64)
        self.assertNotIn(fingerprint, KNOWN_TO_ALL)
        self.patch(files, "KNOWN_TO_ALL", {fingerprint: "the one of an example"})
        (told,) = (told for told in self.lines({"Addresses": ["127.0.0.1:0"]}) if line in told)
        key = self.directory / "key.pem"
        self.assertIn(f"RSA key {fingerprint} of {key} is the one of an example, and", told)
        self.assertIn("gnetway make-key", told)

    def test_what_takes_powers(self) -> None:
        for library, told in ((machine_libcrypto(), "OpenSSL 3."), (None, "gmpy2, ")):
            self.patch(powers, "libcrypto", lambda library=library: library)
            lines = self.lines({"Addresses": ["127.0.0.1:0"]})
            (line,) = (line for line in lines if line.startswith("powers of secrets"))
            self.assertTrue(line.startswith(f"powers of secrets by {told}"))

    def test_there_may_be_none(self) -> None:
        self.assertEqual(self.tried({"Proto": "http", "Addresses": ["127.0.0.1:0"]}), [])
