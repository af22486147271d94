"""An admin site that answers what a test has put there, over real sockets."""

import json
import socket
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from unittest import TestCase
from urllib.parse import parse_qsl, urlsplit

from gnetway.cli.main import main

TOKEN = "0123456789abcdef"


class Asked(NamedTuple):
    method: str
    path: str
    given: dict[str, str]
    headers: dict[str, str]


class FakeAdmin:
    """``answers`` are by method and path: a status, and JSON, or the bytes of another page.

    A list of answers is given one by one, the last one for good. ``stop`` it at the end.
    """

    def __init__(self, unix: str = "") -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[Asked] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.answer(self)

            do_POST = do_GET  # noqa: N815

            def address_string(self) -> str:
                return "a client"

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        class UnixServer(HTTPServer):
            address_family = socket.AF_UNIX

            def server_bind(self) -> None:
                self.socket.bind(self.server_address)

        if unix:
            self._server: HTTPServer = UnixServer(unix, Handler)  # type: ignore[arg-type]
        else:
            self._server = HTTPServer(("127.0.0.1", 0), Handler)
            self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        asked = Asked(
            str(handler.command), parts.path, dict(parse_qsl(parts.query)), dict(handler.headers)
        )
        self.asked.append(asked)
        answer = self.answers.get(f"{asked.method} {asked.path}", (404, b"<html>"))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(asked)
        status, shown = answer
        body = shown if isinstance(shown, bytes) else json.dumps(shown).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Ran(NamedTuple):
    status: int
    out: str
    err: str


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: str, terminal: bool = False) -> Ran:
    """Run the command with its output taken."""
    out, err = Terminal() if terminal else StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(arguments)
    return Ran(status, out.getvalue(), err.getvalue())


class AdminCase(TestCase):
    def setUp(self) -> None:
        self.admin = FakeAdmin()
        self.addCleanup(self.admin.stop)
        self.at = f"--admin=http://127.0.0.1:{self.admin.port}"

    def put(self, method_and_path: str, answer: object, status: int = 200) -> None:
        self.admin.answers[method_and_path] = (status, answer)


def write_config(folder: Path, admin: str) -> str:
    """Write a file that has this Admin, and an RSA key that nobody may read."""
    file = folder / "gnetway.yaml"
    file.write_text(f"RSAKey: [{{KeyFile: not-there.pem}}]\n{admin}")
    return str(file)
