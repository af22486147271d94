"""The commands for those who run a gateway: against one that runs, as the documents type them."""

import shlex
import tempfile
from pathlib import Path
from unittest import TestCase

from tests.cli.fake_admin import run
from tests.live.commands.prompt import shown
from tests.live.gateway import rsa_pem

DOCUMENT = "docs/commands.md"


class DocumentedTests(TestCase):
    """What needs no gateway, as it is typed."""

    def test_each(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "key.pem").write_bytes(rsa_pem())
        file = folder / "gnetway.yaml"
        file.write_text(
            "RSAKey: [{KeyFile: key.pem}]\n"
            "Gnetway: {Server: [{Addresses: ['127.0.0.1:10443']}]}\n"
            "ListenOn: 127.0.0.1:20110\n"
            "Session: {Endpoints: ['10.0.0.7:20120', '10.0.0.8:20120']}\n"
        )
        for command in shown(DOCUMENT, "gnetway config"):
            done = run(*shlex.split(command)[1:], "-c", str(file))
            self.assertEqual((done.status, done.err), (0, ""), command)
