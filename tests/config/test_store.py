import os
from unittest.mock import patch

from gnetway.config.load import load_file
from tests.config.cases import GOOD, ConfigCase, embedded

ALLOWED = "allowed: an SQLite file that can be written, memory, or class:package.module.Class"


class StoreTests(ConfigCase):
    def file(self, store: str) -> str:
        return GOOD.replace("Store: memory", f"Store: {store}")

    def refused(self, store: str, path: str, problem: str) -> None:
        self.assert_faults(
            self.file(store),
            f"9: Session.Embedded.Store: found {store!r}, which means {path}: {problem}; {ALLOWED}",
        )

    def test_memory(self) -> None:
        read = embedded(load_file(self.write("gnetway.yaml", self.file("memory"))))
        self.assertEqual((read.store, read.in_memory), ("memory", True))

    def test_a_class(self) -> None:
        read = embedded(load_file(self.write("gnetway.yaml", self.file("class:shop.keys.Keys"))))
        self.assertEqual((read.store_class, read.store_file), ("shop.keys.Keys", ""))
        self.assertFalse(read.in_memory)

    def test_no_class(self) -> None:
        self.assert_faults(
            self.file("class:Keys"),
            f"9: Session.Embedded.Store: found 'class:Keys'; {ALLOWED}",
        )

    def test_new_file_beside_the_configuration(self) -> None:
        read = embedded(load_file(self.write("gnetway.yaml", self.file("./x.sqlite"))))
        self.assertEqual(read.store, str(self.directory / "x.sqlite"))
        self.assertFalse(read.in_memory)

    def test_existing_file(self) -> None:
        path = self.write("x.sqlite", b"")
        config = load_file(self.write("gnetway.yaml", self.file("x.sqlite")))
        self.assertEqual(embedded(config).store, path)

    def test_no_directory(self) -> None:
        self.refused("a/x", f"{self.directory}/a/x", "no such directory")

    def test_is_a_directory(self) -> None:
        self.refused(".", f"{self.directory}", "no name for a file")

    def test_unprintable_name(self) -> None:
        faults = self.faults(self.file('"a\\0b"'))
        self.assertIn("no name for a file", faults[0])

    def test_read_only(self) -> None:
        """Asked of the system, since the tests may run as root, who may write anywhere."""
        path = self.write("x", b"")
        real = os.access

        def refuse(refused: str) -> object:
            return patch("os.access", lambda at, mode: at != refused and real(at, mode))

        with refuse(str(self.directory)):  # type: ignore[attr-defined]
            self.refused("x", path, "the directory cannot be written")
        with refuse(path):  # type: ignore[attr-defined]
            self.refused("x", path, "the file cannot be written")
