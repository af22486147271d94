"""twistd's own ways with the gateway: foreground, daemon, help, version, signals."""

import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from unittest import TestCase

from gnetway import __version__
from gnetway._version import core_build
from gnetway.backends.embedded.sqlite_file import StoreLock
from gnetway.backends.embedded.store import StoreUnusable
from tests.live.client import LiveClient
from tests.live.gateway import ROOT, TWISTD, Gateway, run, until


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class ForegroundTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def test_the_start_is_told(self) -> None:
        """What it is, where it listens, its keys, its backend, and how to try it."""
        gateway, log = self.gateway, self.gateway.log
        fingerprint = gateway.rsa.fingerprint % (1 << 64)
        for line in (
            f"gnetway {__version__} is ready",
            f"core: {core_build()}",
            f"listening on {gateway.address} (tcp)",
            f"RSA key {fingerprint} ({gateway.rsa.fingerprint_hex})",
            f"public half in {gateway.public_key_file}",
            f"session backend: embedded, keys in {gateway.folder}/keys.sqlite",
            f"-m gnetway ping {gateway.address} --key {gateway.public_key_file}",
        ):
            self.assertIn(line, log)
        self.assertEqual(gateway.public_key_file.read_bytes(), gateway.rsa.public_pem)

    def test_the_command_that_it_names_works(self) -> None:
        (line,) = (line for line in self.gateway.log.splitlines() if "try it: " in line)
        # Wherever it is called: a checkout is on the path of its own Python.
        command = shlex.split(line.partition("try it: ")[2])
        done = run(*command, cwd=self.gateway.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("auth key made over obf-intermediate", done.stdout)
        self.assertEqual(done.stdout.count(": pong "), 3)

    def test_telethon_gets_the_config(self) -> None:
        gateway = self.gateway
        command = (sys.executable, "examples/telethon_ping.py", f"--key={gateway.public_key_file}")
        done = run(*command, f"--address={gateway.address}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("was answered", done.stdout)
        self.assertIn("Config(", done.stdout)

    def test_the_keys_are_for_the_owner_alone(self) -> None:
        with LiveClient(self.gateway) as client:
            client.make_key()
        for file in self.gateway.folder.glob("keys.sqlite*"):
            self.assertEqual(file.stat().st_mode & 0o777, 0o600, file)

    def test_a_signal_stops_it_cleanly(self) -> None:
        with LiveClient(self.gateway) as client:
            client.ping(client.make_key())
            status = self.gateway.stop()
            self.assertTrue(client.ended())
        # twistd ends itself by the signal that stopped it, when all is done.
        self.assertEqual(status, -signal.SIGTERM)
        log = self.gateway.log
        self.assertIn("connections ended, by cause: {'gateway_stopped': 1}", log)
        self.assertTrue(log.rstrip().endswith("Server Shut Down."), log)
        self.assertNotIn("Traceback", log)
        # SQLite has put its log files away: the store was closed.
        self.assertEqual([file.name for file in self.gateway.folder.glob("*-wal")], [])


class FailedStartTests(TestCase):
    def test_a_start_that_fails_ends_it(self) -> None:
        """With a status that a service manager sees, whatever twistd says itself."""
        gateway = Gateway(handler="tests.live.handler.BrokenHandler")
        self.addCleanup(gateway.remove)
        done = run(TWISTD, "-n", "--pidfile=", "gnetway", "-c", str(gateway.config_file))
        self.assertEqual(done.returncode, 1)
        self.assertIn("The gateway cannot start", done.stdout)
        self.assertIn("ValueError: no handler today", done.stdout)
        self.assertTrue(done.stdout.rstrip().endswith("Server Shut Down."), done.stdout)


class SharedStoreTests(TestCase):
    def test_the_second_process_is_refused(self) -> None:
        """As one whose port is taken is, and the first goes on."""
        first = Gateway()
        self.addCleanup(first.remove)
        first.key_file.chmod(0o644)
        first.start()
        self.assertIn(f"{first.key_file} is open to others than its owner (mode 0644)", first.log)
        second = first.folder / "second.yaml"
        second.write_text(first.config_file.read_text().replace(first.address, "127.0.0.1:0"))
        command = (TWISTD, "-n", "--pidfile=", "gnetway", "-c", str(second))
        done = run(*command)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Session.Embedded.Store: found", done.stderr)
        self.assertIn(f"{first.folder}/keys.sqlite: another gateway uses it", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        with LiveClient(first) as client:
            client.ping(client.make_key())
        # A crash leaves nothing behind that keeps the next one out.
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        first.start()


class DaemonTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.pid_file = self.gateway.folder / "twistd.pid"
        self.log_file = self.gateway.folder / "twistd.log"

    def start(self) -> None:
        options = (f"--pidfile={self.pid_file}", f"--logfile={self.log_file}")
        done = run(TWISTD, *options, "gnetway", "-c", str(self.gateway.config_file))
        self.assertEqual(done.returncode, 0, done.stderr)
        until(self.pid_file.exists, "a pidfile")
        until(lambda: self.pid_file.read_text() != "", "a pid")
        self.pid = int(self.pid_file.read_text())
        self.addCleanup(self.kill)
        until(lambda: "is ready" in self.log_file.read_text(), "ready")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def test_a_daemon_serves_and_stops(self) -> None:
        (self.gateway.folder / "keys.sqlite").touch(0o600)
        self.start()
        with LiveClient(self.gateway) as client:
            client.ping(client.make_key())
        # The store is the daemon's, though what took it has forked since.
        store = f"{self.gateway.folder}/keys.sqlite"
        self.assertRaises(StoreUnusable, StoreLock(store).take)
        os.kill(self.pid, signal.SIGTERM)
        until(lambda: not alive(self.pid), "the end of the daemon")
        self.assertFalse(self.pid_file.exists())
        log = self.log_file.read_text()
        self.assertIn("connections ended, by cause: {'client_closed': 1}", log)
        self.assertIn("Server Shut Down.", log)
        self.assertNotIn("Traceback", log)


class CommandLineTests(TestCase):
    def test_help(self) -> None:
        done = run(TWISTD, "gnetway", "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--config=", done.stdout)
        self.assertIn("An MTProto network gateway", done.stdout)

    def test_twistd_lists_it(self) -> None:
        done = run(TWISTD, "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("gnetway", done.stdout)

    def test_version(self) -> None:
        done = run(TWISTD, "gnetway", "--version")
        self.assertEqual((done.returncode, done.stdout), (0, f"gnetway {__version__}\n"))

    def test_an_unknown_option(self) -> None:
        done = run(TWISTD, "-n", "--pidfile=", "gnetway", "--confg=x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("option --confg not recognized", done.stdout + done.stderr)

    def test_make_key(self) -> None:
        """What `make run` does on a fresh machine."""
        gateway = Gateway()
        self.addCleanup(gateway.remove)
        file = gateway.folder / "new.key"
        command = (sys.executable, "-m", "gnetway", "make-key", str(file))
        done = run(*command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertTrue(Path(f"{file}.pub").exists())
        # It never overwrites one.
        before = file.read_bytes()
        done = run(*command)
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(file.read_bytes(), before)

    def test_make_config(self) -> None:
        gateway = Gateway()
        self.addCleanup(gateway.remove)
        file = gateway.folder / "made.yaml"
        command = (sys.executable, "-m", "gnetway", "make-config", str(file))
        self.assertEqual(run(*command).returncode, 0)
        self.assertEqual(file.read_bytes(), (ROOT / "etc" / "gnetway.yaml").read_bytes())
        # It never overwrites one.
        file.write_text("Name: mine")
        done = run(*command)
        self.assertEqual(done.returncode, 1)
        self.assertIn("File exists", done.stderr)
        self.assertEqual(file.read_text(), "Name: mine")

    def test_the_shipped_configuration(self) -> None:
        """It is whole but for the key, which `make run` makes."""
        gateway = Gateway()
        self.addCleanup(gateway.remove)
        text = (ROOT / "etc" / "gnetway.yaml").read_text()
        for port in ("0.0.0.0:10443", "0.0.0.0:5222", "0.0.0.0:11443", "127.0.0.1:11080"):
            self.assertIn(port, text)
            text = text.replace(port, "127.0.0.1:0")
        gateway.config_file.write_text(text)
        (gateway.folder / "server_pkcs1.key").write_bytes(gateway.key_file.read_bytes())
        gateway.start()
        self.assertEqual(gateway.log.count("listening on 127.0.0.1:"), 3)
        self.assertEqual(gateway.log.count("(websocket)"), 1)
