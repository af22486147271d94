"""The commands for those who run a gateway: against one that runs, as the documents type them."""

import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

from gnetway.crypto.rsa import RsaKey
from tests.cli.fake_admin import run
from tests.live.client import LiveClient
from tests.live.commands.prompt import shown
from tests.live.gateway import PATIENCE_SECONDS, ROOT, Gateway, rsa_pem

DOCUMENT = "docs/commands.md"


class RunningTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.gateway.config["Admin"] = {"Addresses": ["unix:admin.sock"]}
        self.gateway.write_config()
        self.gateway.start()

    def output(self, *arguments: str) -> str:
        """Return what a command prints, of this gateway."""
        done = run(*arguments, "-c", str(self.gateway.config_file))
        self.assertEqual((done.status, done.err), (0, ""), arguments)
        return done.out

    def follow(self) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "gnetway", "failures", "--follow"]
        command += ["-c", str(self.gateway.config_file)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_see_why_and_drain(self) -> None:
        with self.follow() as follows, LiveClient(self.gateway) as client:
            assert follows.stdout is not None and follows.stderr is not None
            client.ping(client.make_key())
            with socket.create_connection(("127.0.0.1", self.gateway.port)) as stranger:
                stranger.sendall(b"\x16\x03\x01\x02\x00\x01" + bytes(100))
                stranger.recv(1)
            self.assertRegex(
                follows.stdout.readline(),
                r"^\d\d:\d\d:\d\d 127\.0\.0\.1 a client: gateway, transport, unknown_transport - "
                r"the first bytes are no MTProto",
            )
            follows.send_signal(signal.SIGINT)
            self.assertEqual(follows.wait(PATIENCE_SECONDS), 0)
            self.assertEqual(follows.stderr.read(), "")

            for command in shown(DOCUMENT, "gnetway status", "gnetway connections"):
                self.output(*shlex.split(command)[1:])
            (row, summary) = self.output("connections").splitlines()[1:]
            self.assertIn(" answered ", row)
            self.assertEqual(summary, "1 of 1 that match; 1 looked through")
            self.assertRegex(self.output("connection", row.split()[0]), r"(?m)^keys +1$")
            self.assertRegex(self.output("failures"), r"^1 time: gateway, transport, unknown")
            self.assertEqual(self.output("reload")[:20], "reload 1: unchanged,")
        self.assertIn("ended", self.output("drain"))
        self.assertEqual(self.gateway.wait(), 0)


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
        text = (ROOT / DOCUMENT).read_text()
        for command in shown(DOCUMENT, "gnetway config", "gnetway ring"):
            done = run(*shlex.split(command)[1:], "-c", str(file))
            self.assertEqual((done.status, done.err), (0, ""), command)
            if "ring" in command:
                self.assertIn(f"$ {command}\n{done.out}```", text)

    def test_a_key_for_clients(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "server_pkcs1.key.pub"
        file.write_bytes(RsaKey.from_pem(rsa_pem()).public_pem)
        for document in (DOCUMENT, "docs/point-clients.md"):
            for command in shown(document, "gnetway show-key"):
                done = run(*shlex.split(command.replace(file.name, str(file)))[1:])
                self.assertEqual((done.status, done.err), (0, ""), command)
