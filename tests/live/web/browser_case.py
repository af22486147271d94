"""Tests with a browser: a gateway, and the page of examples/web/ from another origin."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.live.gateway import ROOT
from tests.live.web.gateway import WebCase
from tests.live.web.tools import require_browser


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests for the tests."""


class BrowserCase(WebCase):
    """``page`` is the page's address, ``chromium`` the browser's path."""

    chromium: str
    page: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.chromium = require_browser()
        served = partial(QuietHandler, directory=str(ROOT / "examples" / "web"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), served)
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        Thread(target=server.serve_forever, daemon=True).start()
        cls.page = f"http://localhost:{server.server_port}/"
        super().setUpClass()
