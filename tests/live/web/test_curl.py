"""The corners of HTTP as curl sees them: paths, methods, lengths, CORS, keep-alive."""

from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import TestCase

from tests.live.gateway import run
from tests.live.web.listeners import ListenerGateway
from tests.needs import need_program

#: A gateway's largest body is 16 MiB by default.
TOO_LARGE = 17 * 1024 * 1024


class CurlTests(TestCase):
    def setUp(self) -> None:
        need_program("curl")
        self.gateway = ListenerGateway(
            {"http": {"Proto": "http"}, "few": {"Proto": "http", "AllowedOrigins": ["https://a.b"]}}
        )
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def curl(self, *arguments: str, path: str = "/apiw1", listener: str = "http") -> str:
        """Return what curl prints: the heads and bodies of all answers."""
        url = f"http://127.0.0.1:{self.gateway.ports[listener]}{path}"
        done = run("curl", "-sS", "-i", "--max-time", "20", *arguments, url)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_status(self, status: int, answer: str) -> None:
        self.assertTrue(answer.startswith(f"HTTP/1.1 {status} "), answer)

    def test_statuses(self) -> None:
        for status, path, arguments in (
            (404, "/", ()),
            (404, "/apiw2", ("-d", "x")),
            (405, "/apiw1", ()),
            (405, "/apiw1", ("-X", "PUT", "-d", "x")),
            (400, "/apiw1", ("-d", "xxxx")),
            (400, "/apiw_test1", ("-X", "POST", "-H", "Content-Length: -4")),
            (404, "/api", ("--data-binary", "12345678" * 10)),
        ):
            with self.subTest(status=status, path=path, arguments=arguments):
                self.assert_status(status, self.curl(*arguments, path=path))

    def test_a_transport_error_has_a_body_and_other_statuses_have_none(self) -> None:
        unknown_key = self.curl("--data-binary", "12345678" * 10, path="/api")
        self.assertTrue(unknown_key.endswith("\n\nl\\xfe\\xff\\xff"), unknown_key)
        self.assertTrue(self.curl(path="/").endswith("\n\n"))

    def test_405_names_what_is_allowed(self) -> None:
        self.assertIn("\nAllow: ", self.curl().replace("\r", ""))

    def test_a_body_too_large_is_refused_before_it_is_sent(self) -> None:
        body = Path(mkdtemp()) / "body"
        self.addCleanup(body.unlink)
        body.write_bytes(bytes(TOO_LARGE))
        self.assert_status(413, self.curl("--data-binary", f"@{body}", "-H", "Expect:"))

    def test_a_preflight_is_answered_by_the_list_of_origins(self) -> None:
        ask = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST", "-H")
        self.assertIn("Access-Control-Allow-Origin: *", self.curl(*ask, "Origin: https://c.d"))
        allowed = self.curl(*ask, "Origin: https://a.b", listener="few")
        self.assertIn("Access-Control-Allow-Origin: https://a.b", allowed)
        refused = self.curl(*ask, "Origin: https://c.d", listener="few")
        self.assertNotIn("Access-Control-Allow-Origin", refused)

    def test_one_connection_serves_several_requests(self) -> None:
        url = f"http://127.0.0.1:{self.gateway.ports['http']}/apiw"
        done = run("curl", "-sS", "-v", url, url)
        self.assertEqual(done.stderr.count("Connected to"), 1, done.stderr)
        self.assertEqual(done.stderr.count("< HTTP/1.1 405"), 2, done.stderr)
        self.assertNotIn("Traceback", self.gateway.log)
