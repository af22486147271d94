"""How the commands find a running gateway, and what they say where there is none."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from gnetway.cli.asking import DEFAULT_CONFIG, AdminClient, NotReached
from gnetway.config.addresses import Address
from gnetway.tap import Options
from tests.cli.fake_admin import TOKEN, AdminCase, FakeAdmin, run, write_config
from tests.ports import free_port

ROOT = Path(__file__).parents[2]

FAILURES = {"now": 10.0, "failures": []}


class FindTests(AdminCase):
    """By the configuration, of which nothing but Admin has to be sound, or by --admin."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.put("GET /api/failures", FAILURES)

    def test_without_a_file_it_is_the_one_that_twistd_takes(self) -> None:
        self.assertEqual(Options()["config"], DEFAULT_CONFIG)

    def test_by_the_configuration(self) -> None:
        for host in ("127.0.0.1", "0.0.0.0", "localhost"):
            admin = f"Admin: {{Addresses: ['{host}:{self.admin.port}'], Token: {TOKEN}}}"
            ran = run("failures", "-c", write_config(self.folder, admin))
            self.assertEqual((ran.status, ran.err), (0, ""), host)
            self.assertEqual(self.admin.asked.pop().headers["Authorization"], f"Bearer {TOKEN}")

    def test_by_the_second_address_where_nobody_is_at_the_first(self) -> None:
        admin = f"Admin: {{Addresses: ['127.0.0.1:{free_port()}', ':{self.admin.port}']}}"
        self.assertEqual(run("failures", "-c", write_config(self.folder, admin)).status, 0)

    def test_over_a_socket_in_the_file_system(self) -> None:
        fake = FakeAdmin(unix=str(self.folder / "admin.sock"))
        self.addCleanup(fake.stop)
        fake.answers["GET /api/failures"] = (200, FAILURES)
        file = write_config(self.folder, "Admin: {Addresses: ['unix:admin.sock']}")
        self.assertEqual(run("failures", "-c", file).status, 0)
        self.assertEqual(run("failures", f"--admin=unix:{self.folder}/admin.sock").status, 0)
        self.assertEqual([asked.headers["Host"] for asked in fake.asked], ["localhost"] * 2)

    def test_a_token_in_a_file(self) -> None:
        token = self.folder / "token"
        token.write_text(f"{TOKEN}\n")
        self.assertEqual(run("failures", self.at, "--token-file", str(token)).status, 0)
        self.assertEqual(self.admin.asked[0].headers["Authorization"], f"Bearer {TOKEN}")
        for content in (b"", b"two\nlines", b"\xff"):
            token.write_bytes(content)
            ran = run("failures", self.at, "--token-file", str(token))
            self.assertEqual(ran.status, 1)
            self.assertIn("it has no token, which is one line of ASCII", ran.err)
        ran = run("failures", self.at, "--token-file", "/not/there")
        self.assertIn("--token-file /not/there: No such file", ran.err)

    def test_no_admin_at_all(self) -> None:
        """The remedy can be copied."""
        ran = run("status", "-c", write_config(self.folder, ""))
        self.assertEqual(ran.status, 1)
        self.assertIn("has no Admin", ran.err)
        self.assertTrue(ran.err.endswith("\nAdmin:\n  Addresses: [127.0.0.1:11080]\n"), ran.err)

    def test_faults_of_the_file(self) -> None:
        for admin, fault in (
            (f"Admin: {{Token: {TOKEN}}}", "Admin.Addresses: found nothing"),
            ("Admin: {Addresses: [x]}", "Admin.Addresses[0]: found 'x'"),
            ("Admin: {Addresses: [':1'], Token: abc}", "Admin.Token: found one that is shorter"),
            ("Admin: [", "a YAML error"),
        ):
            ran = run("status", "-c", write_config(self.folder, admin))
            self.assertEqual(ran.status, 1)
            self.assertIn(fault, ran.err)
        ran = run("status", "-c", str(self.folder / "none.yaml"))
        self.assertIn("none.yaml: found no readable file: No such file", ran.err)

    def test_any_free_port(self) -> None:
        ran = run("status", "-c", write_config(self.folder, "Admin: {Addresses: [':0']}"))
        self.assertIn("Admin.Addresses[0] has port 0, any free one", ran.err)

    def test_a_place_that_is_none(self) -> None:
        for place in ("127.0.0.1:1", "https://x:1", "unix:", "http://x:1/api", "http://x:99999"):
            with self.assertRaises(SystemExit) as ended:
                run("status", f"--admin={place}")
            self.assertEqual(ended.exception.code, 2)


class AnswerTests(AdminCase):
    def error(self, answer: object, status: int) -> str:
        self.put("GET /api/failures", answer, status)
        ran = run("failures", self.at)
        self.assertEqual((ran.status, ran.out), (1, ""))
        return ran.err

    def test_nobody_listens(self) -> None:
        port = free_port()
        ran = run("failures", f"--admin=http://127.0.0.1:{port}")
        self.assertEqual(ran.status, 1)
        told = f"gnetway: no gateway answers at 127.0.0.1:{port} (Connection refused): it does not"
        self.assertTrue(ran.err.startswith(told), ran.err)
        self.assertEqual(run("failures", "--admin=unix:/not/there").status, 1)

    def test_whoever_listens_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = AdminClient([Address(*server.getsockname())], seconds=0.05)
            with self.assertRaises(NotReached) as raised:
                client.get("/api/status")
        self.assertIn("gives no answer: timed out", str(raised.exception))

    def test_another_token(self) -> None:
        self.assertIn("it asks for a token: Admin.Token as it was", self.error(b"no\n", 401))

    def test_what_the_gateway_says(self) -> None:
        self.assertIn(
            "sort=x: it may be started", self.error({"error": "sort=x: it may be started"}, 400)
        )
        self.assertIn(
            "Admin.Token is needed for this",
            self.error(b"Admin.Token is needed for this from elsewhere\n", 403),
        )

    def test_no_gateway(self) -> None:
        self.assertIn("is no admin site of a gateway", self.error(b"<html>hello", 200))
        self.assertIn("it has no such page: an older gateway", self.error(b"<html>", 404))
        self.assertIn("(HTTP 500)", self.error(b"\x1b[2Jfailed\n", 500))

    def test_nothing_that_steers_a_terminal(self) -> None:
        self.assertIn(r"\x1b[2J", self.error({"error": "\x1b[2J"}, 400))
        self.assertIn(r"\x1b[2J", self.error(b"\x1b[2J", 500))


class EndTests(AdminCase):
    def test_who_reads_leaves(self) -> None:
        """As head does: no traceback, and no complaint at the end."""
        self.put("GET /api/failures", FAILURES)
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-m", "gnetway", "failures", "--json", self.at]
        done = subprocess.run(
            command, stdout=write, stderr=subprocess.PIPE, timeout=60, cwd=ROOT, check=False
        )
        os.close(write)
        self.assertEqual((done.returncode, done.stderr), (1, b""))

    def test_interrupted(self) -> None:
        with patch.object(AdminClient, "get", side_effect=KeyboardInterrupt):
            self.assertEqual(run("status", self.at), (130, "", ""))
