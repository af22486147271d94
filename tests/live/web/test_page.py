"""The page of examples/web/ in a browser, served from another origin than the gateway's."""

from typing import NamedTuple

from gnetway.crypto.rsa import RsaKey, generate_pem
from tests.live import handler
from tests.live.web.browser_case import BrowserCase
from tests.live.web.gateway import notification
from tests.live.web.tools import key_hash, run_client
from tests.ports import free_port

NEWS = notification("Lunch is ready")

STEPS = [
    "key",
    "websocket",
    "obfuscated2",
    "req_pq",
    "factor",
    "rsa",
    "req_dh",
    "dh",
    "ping",
    "config",
]


class Shown(NamedTuple):
    """What the page shows: of each step its state and text, and what the server said."""

    states: dict[str, str]
    texts: dict[str, str]
    said: list[tuple[str, str]]

    def last_words(self, name: str) -> list[str]:
        """Return how everything that was said under a name ends."""
        return [text.split()[-1] for said, text in self.said if said == name]


class PageTests(BrowserCase):
    def visit(
        self, url: str, public_key: str = "", calls: tuple[bytes, ...] = (), pushes: int = 0
    ) -> dict[str, object]:
        """Return what to enter on the page, and what to wait for."""
        return {
            "url": url,
            "publicKey": public_key or self.gateway.rsa.public_pem.decode(),
            "calls": [call.hex() for call in calls],
            "pushes": pushes,
        }

    def open(self, *visits: dict[str, object], trusted: str = "") -> list[Shown]:
        """Open the page anew for each visit, and return what it shows each time."""
        place = {"page": self.page, "chromium": self.chromium, "trusted": trusted}
        got = run_client("page.mjs", {**place, "visits": visits})
        assert isinstance(got, list)
        for visit in got:
            self.assertEqual(visit["faults"], [])
        return [
            Shown(
                {name: state for name, state, _ in visit["steps"]},
                {name: text for name, _, text in visit["steps"]},
                visit["said"],
            )
            for visit in got
        ]

    def talk(self, url: str, trusted: str = "") -> None:
        # The last one is unknown, so the server wants a login first.
        calls = handler.echo(b"hello"), handler.tell(NEWS), bytes(4)
        [shown] = self.open(self.visit(url, calls=calls, pushes=1), trusted=trusted)
        self.assertEqual(shown.states, dict.fromkeys(STEPS, "done"), shown.texts)
        self.assertIn("binary", shown.texts["websocket"])
        self.assertIn(self.gateway.rsa.fingerprint_hex, shown.texts["req_pq"])
        self.assertIn(self.gateway.native, shown.texts["config"])
        answers = [handler.cdn_file(b"hello").hex(), handler.cdn_file(b"").hex()]
        self.assertEqual(shown.last_words("answer"), answers)
        self.assertEqual(shown.last_words("push"), [NEWS.hex()])
        self.assertEqual(shown.last_words("refusal"), ["AUTH_KEY_UNREGISTERED."])

    def test_over_ws(self) -> None:
        self.talk(self.gateway.url())

    def test_over_wss(self) -> None:
        self.talk(self.gateway.tls_url, key_hash(self.gateway.certificate))

    def test_what_a_newcomer_gets_wrong(self) -> None:
        """The page says at which step it failed, and what to look at."""
        right, tls = self.gateway.url(), self.gateway.tls_url
        guarded = f"ws://{self.gateway.guarded}/apiws"
        nobody = f"ws://127.0.0.1:{free_port()}/apiws"
        private = self.gateway.key_file.read_text()
        other = RsaKey.from_pem(generate_pem()).public_pem.decode()
        wrong = {
            "no key": (self.visit(right, "etc/key.pub"), "key", "There is no public key here"),
            "a private key": (self.visit(right, private), "key", "This is a private key"),
            "another's key": (self.visit(right, other), "req_pq", "belongs to another gateway"),
            "no address": (self.visit("gateway"), "websocket", "An address looks like ws://"),
            "nobody there": (self.visit(nobody), "websocket", f"No WebSocket at {nobody}"),
            "wrong path": (self.visit(f"{right}s"), "websocket", "the path is /apiws"),
            "not allowed": (self.visit(guarded), "websocket", "this page's origin"),
            "distrust": (self.visit(tls), "websocket", "the browser trusts the certificate"),
        }
        pages = self.open(*(visit for visit, _, _ in wrong.values()))
        for (name, (_, step, text)), shown in zip(wrong.items(), pages, strict=True):
            with self.subTest(name):
                before = dict.fromkeys(STEPS[: STEPS.index(step)], "done")
                self.assertEqual(shown.states, before | {step: "failed"}, shown.texts)
                self.assertIn(text, shown.texts[step])
