from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.servers import origin
from gnetway.errors import ConfigError
from tests.config.cases import parse_value


class OriginTests(SynchronousTestCase):
    def test_taken(self) -> None:
        for written in (
            "*",
            "https://example.org",
            "https://*.example.org",
            "https://example.org:8443",
            "http://127.0.0.1:*",
            "http://[::1]:8080",
            "app://bundle-1_a",
            "null",
            "file://",
            "qrc://",
            "app://*",
            "capacitor://localhost",
            "chrome-extension://abcdef",
        ):
            self.assertEqual(parse_value(origin, written), written)

    def test_in_lower_case(self) -> None:
        self.assertEqual(parse_value(origin, "HTTPS://Example.ORG"), "https://example.org")

    def test_refused(self) -> None:
        for written in (
            "",
            "example.org",
            "https://",
            "http://",
            "null://a/b",
            "nullx",
            "file:///",
            "file://:80",
            "https://example.org/",
            "https://example.org/app",
            "https://a b",
            "https://example.org:port",
            "https://example..org",
            "https://example.org\n",
        ):
            error = self.assertRaises(ConfigError, parse_value, origin, written)
            self.assertIn("allowed: * for any, or scheme://host[:port]", error.faults[0])
        self.assertRaises(ConfigError, parse_value, origin, 5)

    @given(written=text(max_size=60))
    def test_any_text(self, written: str) -> None:
        try:
            self.assertEqual(parse_value(origin, written), written.lower())
        except ConfigError as error:
            self.assertEqual(len(error.faults), 1)
