from hypothesis import given
from hypothesis.strategies import characters, integers, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.document import Faults, closest, fault_line, shown


class FaultLineTests(SynchronousTestCase):
    def test_all_parts(self) -> None:
        self.assertEqual(
            fault_line("f.yaml", 3, "A.B[0]", "'tpc'", "tcp", "'tcp'"),
            "f.yaml:3: A.B[0]: found 'tpc'; allowed: tcp; did you mean 'tcp'?",
        )

    def test_without_line_path_and_hint(self) -> None:
        self.assertEqual(fault_line("<dict>", 0, "", "x", "y"), "<dict>: found x; allowed: y")

    @given(
        source=text(characters(), max_size=20),
        path=text(characters(), max_size=20),
        found=text(characters(), max_size=20),
    )
    def test_is_one_printable_line(self, source: str, path: str, found: str) -> None:
        """No file name, key or value breaks the line or sends control codes to a terminal."""
        self.assertTrue(fault_line(source, 1, path, shown(found), "y").isprintable())


class FaultsTests(SynchronousTestCase):
    def test_sorted_by_line(self) -> None:
        """10 comes after 9, and what has the same line stays in its order."""
        faults = Faults("f")
        for line, path in ((10, "C"), (9, "B"), (9, "A"), (0, "")):
            faults.add(line, path, "x", "y")
        self.assertEqual(
            faults.lines(),
            [
                "f: found x; allowed: y",
                "f:9: B: found x; allowed: y",
                "f:9: A: found x; allowed: y",
                "f:10: C: found x; allowed: y",
            ],
        )

    def test_none(self) -> None:
        self.assertEqual(Faults("f").lines(), [])


class ShownTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        for value, expected in (
            (None, "nothing"),
            (True, "true"),
            (False, "false"),
            ("x", "'x'"),
            ("x" * 61, "'" + "x" * 60 + "'…"),
            (-5, "-5"),
            (1 << 200, "a number of 201 bits"),
            (1.5, "1.5"),
            ([1], "a list"),
            ((1,), "a list"),
            ({"Pass": "hidden"}, "a mapping"),
            (b"hidden", "a value of type bytes"),
        ):
            self.assertEqual(shown(value), expected)

    @given(value=integers())
    def test_numbers_stay_short(self, value: int) -> None:
        self.assertLess(len(shown(value)), 50)


class ClosestTests(SynchronousTestCase):
    def test_near(self) -> None:
        self.assertEqual(closest("adresses", ["Proto", "Addresses"]), "'Addresses'")

    def test_far(self) -> None:
        self.assertEqual(closest("Colour", ["Proto", "Addresses"]), "")

    def test_very_long(self) -> None:
        self.assertEqual(closest("Proto" * 100_000, ["Addresses"]), "")
