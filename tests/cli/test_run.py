"""``gnetway run``: what it makes in its folder, and what the options come to."""

import os
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import TestCase
from unittest.mock import patch

import yaml

from gnetway.cli import run as command
from gnetway.config.load import load_file
from gnetway.config.servers import Proto
from gnetway.errors import ConfigError
from gnetway.testing.dial import shown_fingerprint
from tests.cli.fake_admin import Ran, run
from tests.needs import missing


class RunTests(TestCase):
    """All but the start, which is twistd's."""

    def setUp(self) -> None:
        if find_spec("autobahn") is None:
            missing("autobahn is not installed (extra web)")
        self.above = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = self.above / "data"
        self.started = self.enterContext(patch.object(command, "_start"))

    @property
    def config_file(self) -> Path:
        return self.folder / "run.yaml"

    def run_it(self, *options: str) -> Ran:
        return run("run", "--data", str(self.folder), *options)

    def test_from_nothing(self) -> None:
        ran = self.run_it()
        self.assertEqual((ran.status, ran.err), (0, ""))
        self.started.assert_called_once_with(str(self.config_file))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in self.folder.iterdir()}
        self.assertEqual(modes["server_pkcs1.key"], 0o600)
        self.assertEqual(modes["run.yaml"], 0o600)
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        self.assertEqual(set(modes), {"server_pkcs1.key", "server_pkcs1.key.pub", "run.yaml"})
        config = load_file(str(self.config_file))
        (server,) = config.gnetway.servers
        self.assertEqual([str(one) for one in server.addresses], ["0.0.0.0:10443"])
        self.assertTrue(server.serves(Proto.WEBSOCKET))
        embedded = config.session.embedded
        assert embedded is not None
        self.assertEqual(embedded.store, str(self.folder / "gnetway.sqlite"))
        assert config.admin is not None
        self.assertEqual([str(one) for one in config.admin.addresses], ["127.0.0.1:11080"])
        # What a client needs, and nothing of the other half.
        self.assertIn((self.folder / "server_pkcs1.key.pub").read_text().strip(), ran.out)
        fingerprint = config.rsa_keys[0].key.fingerprint
        self.assertIn(shown_fingerprint(fingerprint).split()[0], ran.out)
        self.assertNotIn("PRIVATE", ran.out)

    def test_the_key_stays(self) -> None:
        self.run_it()
        before = (self.folder / "server_pkcs1.key").read_bytes()
        ran = self.run_it("--listen", "127.0.0.1:0")
        self.assertNotIn("a new RSA key", ran.out)
        self.assertEqual((self.folder / "server_pkcs1.key").read_bytes(), before)
        self.assertIn("127.0.0.1:0", self.config_file.read_text())

    def test_options(self) -> None:
        key = self.above / "elsewhere.key"
        self.run_it(
            *("--listen", "127.0.0.1:1234", "--listen", "[::1]:1234", "--key", str(key)),
            *("--store", "memory", "--admin", "none", "--dc", "4"),
            *("--handler", "tests.live.handler.LiveHandler", "--public-address", "203.0.113.7:443"),
        )
        self.assertTrue(key.exists())
        config = load_file(str(self.config_file))
        (server,) = config.gnetway.servers
        self.assertEqual([str(one) for one in server.addresses], ["127.0.0.1:1234", "[::1]:1234"])
        self.assertEqual([one.host for one in server.public_addresses], ["203.0.113.7"])
        self.assertIsNone(config.admin)
        embedded = config.session.embedded
        assert embedded is not None
        self.assertTrue(embedded.in_memory)
        self.assertEqual(
            (embedded.this_dc, embedded.handler), (4, "tests.live.handler.LiveHandler")
        )

    def test_without_the_packages_of_the_web(self) -> None:
        with patch(
            "gnetway.service.prepared.check_web_packages", side_effect=ConfigError(["autobahn"])
        ):
            ran = self.run_it("--listen", "127.0.0.1:1234")
        self.assertIn("pip install 'gnetway[web]'", ran.out)
        servers = load_file(str(self.config_file)).gnetway.servers
        served = {proto for server in servers for proto in server.protos}
        self.assertEqual(served, {Proto.TCP, Proto.HTTP})

    def test_a_folder_that_cannot_be(self) -> None:
        self.above.joinpath("data").touch()
        ran = self.run_it()
        self.assertEqual(ran.status, 1)
        self.assertIn(f"{self.folder}: ", ran.err)
        self.assertIn("`--data FOLDER` names another", ran.err)
        self.started.assert_not_called()

    def test_an_option_that_its_key_does_not_take(self) -> None:
        ran = self.run_it("--listen", "nonsense")
        self.assertEqual(ran.status, 1)
        self.assertIn("found 'nonsense'; allowed: host:port", ran.err)
        self.started.assert_not_called()

    def test_a_file_that_is_right_is_not_written(self) -> None:
        """So the folder may be read-only once all of it is there."""
        self.run_it()
        before = self.config_file.stat()
        self.run_it()
        self.assertEqual(self.config_file.stat().st_ino, before.st_ino)
        self.run_it("--admin", "none")
        self.assertNotIn("Admin", yaml.safe_load(self.config_file.read_text()))

    def test_the_default_folder(self) -> None:
        with patch.dict(os.environ, {"XDG_DATA_HOME": str(self.above / "share")}):
            run("run")
        self.started.assert_called_once_with(str(self.above / "share" / "gnetway" / "run.yaml"))
