"""docs/point-clients.md: its programs, as they stand there, get the config of a gateway."""

import sys
import tempfile
from pathlib import Path
from unittest import TestCase

from tests.live.documents import blocks
from tests.live.gateway import Gateway, run
from tests.live.web.tools import CLIENT_SECONDS, FOLDER, require_node

PAGE = "docs/point-clients.md"

#: What the programs say of the gateway, and what they dial it as.
PORT, KEY, FINGERPRINT = "10443", "server_pkcs1.key.pub", "-3721371567866524001"


class PointPageTests(TestCase):
    gateway: Gateway

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = Gateway()
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / KEY).write_bytes(self.gateway.public_key_file.read_bytes())

    def program(self, word: str, language: str, ending: str) -> str:
        """Write the page's program that has the word in it, with our port; return its file."""
        (code,) = (block for block in blocks(PAGE, language) if word in block)
        self.assertIn(PORT, code)
        code = code.replace(PORT, str(self.gateway.port))
        code = code.replace(FINGERPRINT, str(self.gateway.rsa.fingerprint))
        file = self.folder / f"program.{ending}"
        file.write_text(code)
        return str(file)

    def check(self, *command: str) -> None:
        done = run(*command, cwd=self.folder, seconds=CLIENT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, rf"2 \[.*127\.0\.0\.1\W+{self.gateway.port}\b")

    def check_node(self, word: str) -> None:
        require_node()
        (self.folder / "node_modules").symlink_to(FOLDER / "node_modules")
        self.check("node", self.program(word, "js", "mjs"))

    def test_telethon(self) -> None:
        self.check(sys.executable, self.program("telethon", "python", "py"))

    def test_kurigram(self) -> None:
        self.check(sys.executable, self.program("pyrogram", "python", "py"))

    def test_gramjs(self) -> None:
        self.check_node('from "telegram"')

    def test_mtcute(self) -> None:
        self.check_node("@mtcute/node")
