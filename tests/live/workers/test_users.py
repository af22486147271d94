"""Workers of a gateway that root has started, and that gives up its privileges."""

import json
import os
import signal
import sys

from tests.live.client import LiveClient
from tests.live.gateway import run, until
from tests.live.web.listeners import dial_unix
from tests.live.workers.test_workers import WorkersCase
from tests.ports import free_port

NOBODY = 65534

#: Gives up its privileges, then tries. To start a child as another user subprocess forks, and a
#: fork of a process with grpcio's threads may crash before it has begun.
TRY = (
    "import os, sys;"
    f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY});"
    "os.execv(sys.executable, [sys.executable, '-c', 'import gnetway'])"
)


def another_user() -> int:
    """Return nobody, if this is root and nobody may run this Python; else who this is."""
    may = run(sys.executable, "-c", TRY).returncode == 0
    return NOBODY if may else os.getuid()


class UserTests(WorkersCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = another_user()
        gateway = self.gateway
        # Only root may read the configuration and the key, and take such a port; the folder is
        # that of the gateway, as /run/gnetway would be.
        self.socket_file = gateway.folder / "gateway.sock"
        if self.user == NOBODY:
            gateway.port = free_port(range(600, 1024))
            os.chown(gateway.folder, self.user, self.user)
        gateway.config["Gnetway"] = {
            "Server": [{"Addresses": [gateway.address, f"unix:{self.socket_file}"]}]
        }
        gateway.config["Log"] = {"Mode": "file", "Level": "debug"}
        gateway.write_config()
        for file in (gateway.config_file, gateway.key_file):
            file.chmod(0o600)
        gateway.twistd_options = [f"--uid={self.user}", f"--gid={os.getgid()}", "--logfile=-"]

    def test_they_serve_as_that_user(self) -> None:
        """One that is started again does too, though its user may bind and read nothing of it."""
        self.serve()
        before = self.workers()
        os.kill(before[1], signal.SIGKILL)
        until(lambda: self.workers()[1] != before[1], "another worker")
        for number, pid in self.workers().items():
            self.assertEqual(os.stat(f"/proc/{pid}").st_uid, self.user)
            self.connect_to(number).ping(self.known(number), 1)
        with LiveClient(self.gateway, over=dial_unix(str(self.socket_file))) as client:
            client.ping(self.known(2), 1)
        self.assertEqual(self.gateway.stop(), -signal.SIGTERM)
        self.assert_one_log()

    def assert_one_log(self) -> None:
        """The parent writes the log of all, into a file that is of that user."""
        file = self.gateway.folder / "logs" / "gnetway.log"
        self.assertEqual(file.stat().st_uid, self.user)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        joins = {line["worker"]: line for line in lines if " joins" in line["content"]}
        self.assertEqual(joins.keys(), {0, 1})
        for number, line in joins.items():
            self.assertTrue(line["content"].startswith(f"worker {number}: session node "))
            self.assertTrue(line["caller"].startswith("gnetway."))
        self.assertFalse(self.socket_file.exists())
        self.assertTrue(self.gateway.public_key_file.exists())
