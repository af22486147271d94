"""The look at a store's file before anything runs."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.sqlite_file import SCHEMA_VERSION, check_file
from gnetway.backends.embedded.store import StoreUnusable


class CheckFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/keys.sqlite"

    def make_tables(self, version: int) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
            connection.execute("INSERT INTO schema_version VALUES (?)", (version,))

    def test_a_missing_file_is_left_for_the_store_to_make(self) -> None:
        """Made here, it would belong to whoever started a daemon that changes its user."""
        check_file(self.path)
        self.assertFalse(Path(self.path).exists())

    def test_an_empty_file_will_do(self) -> None:
        Path(self.path).touch()
        check_file(self.path)

    def test_a_store_of_this_version_will_do(self) -> None:
        self.make_tables(SCHEMA_VERSION)
        check_file(self.path)

    def test_an_earlier_version_will_do(self) -> None:
        self.make_tables(1)
        check_file(self.path)

    def test_an_earlier_version_that_another_gateway_uses_is_refused(self) -> None:
        self.make_tables(1)
        error = self.assertRaises(StoreUnusable, check_file, self.path, is_shared=True)
        self.assertIn("stop the gateway that uses it first", str(error))

    def test_another_version_is_refused(self) -> None:
        self.make_tables(SCHEMA_VERSION + 1)
        error = self.assertRaises(StoreUnusable, check_file, self.path)
        self.assertIn(f"version {SCHEMA_VERSION + 1}", str(error))
        self.assertIn(f"versions 1 to {SCHEMA_VERSION}", str(error))

    def test_what_is_no_database_is_refused(self) -> None:
        Path(self.path).write_text("not a database\n" * 100)
        error = self.assertRaises(StoreUnusable, check_file, self.path)
        self.assertIn(self.path, str(error))
        self.assertIn("not a database", str(error))
