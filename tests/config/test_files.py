import os

from gnetway.config.files import Unreadable, input_path, output_path, read_bounded
from tests.config.cases import ConfigCase


class ReadBoundedTests(ConfigCase):
    def test_up_to_the_bound(self) -> None:
        self.assertEqual(read_bounded(self.write("a", b"12345"), 5), b"12345")

    def test_above_the_bound(self) -> None:
        error = self.assertRaises(Unreadable, read_bounded, self.write("a", b"123456"), 5)
        self.assertEqual(str(error), "more than 5 bytes")

    def test_missing(self) -> None:
        error = self.assertRaises(Unreadable, read_bounded, str(self.directory / "none"), 5)
        self.assertEqual(str(error), "No such file or directory")

    def test_directory(self) -> None:
        error = self.assertRaises(Unreadable, read_bounded, str(self.directory), 5)
        self.assertEqual(str(error), "Is a directory")

    def test_impossible_path(self) -> None:
        for path in ("a\0b", "a\ud800b"):
            error = self.assertRaises(Unreadable, read_bounded, path, 5)
            self.assertEqual(str(error), "not a possible path")


class PathTests(ConfigCase):
    """The configuration lies in ``conf``; gnetway is started in the directory above."""

    def setUp(self) -> None:
        super().setUp()
        self.conf = str(self.directory / "conf")
        os.mkdir(self.conf)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)

    def test_input_beside_the_file(self) -> None:
        self.write("conf/key", b"")
        self.assertEqual(input_path("./key", self.conf), f"{self.conf}/key")

    def test_input_in_the_current_directory(self) -> None:
        self.assertEqual(input_path("./key.pem", self.conf), str(self.directory / "key.pem"))

    def test_input_in_both(self) -> None:
        self.write("conf/key.pem", b"")
        self.assertEqual(input_path("key.pem", self.conf), f"{self.conf}/key.pem")

    def test_input_in_neither(self) -> None:
        """The fault then names the place where the file should be put."""
        self.assertEqual(input_path("none", self.conf), f"{self.conf}/none")

    def test_absolute(self) -> None:
        self.assertEqual(input_path("/a/b", self.conf), "/a/b")
        self.assertEqual(output_path("/a/b", self.conf), "/a/b")

    def test_output_does_not_depend_on_what_exists(self) -> None:
        self.assertEqual(output_path("key.pem", self.conf), f"{self.conf}/key.pem")
        self.assertEqual(output_path("../x", self.conf), str(self.directory / "x"))
