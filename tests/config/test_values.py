from enum import StrEnum

from hypothesis import given
from hypothesis.strategies import booleans, floats, integers, lists, none, one_of
from hypothesis.strategies import text as texts
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.values import (
    Parser,
    choice,
    class_name,
    flag,
    list_of,
    optional,
    secret,
    text,
    whole,
)
from gnetway.errors import ConfigError
from tests.config.cases import parse_value


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class ValueTests(SynchronousTestCase):
    def refused(self, parse: Parser[object], value: object, *expected: str) -> None:
        error = self.assertRaises(ConfigError, parse_value, parse, value)
        self.assertEqual(error.faults, list(expected))

    def test_text(self) -> None:
        self.assertEqual(parse_value(text, "x"), "x")
        for value, found in ((5, "5"), (None, "nothing"), (" ", "' '"), ({}, "a mapping")):
            self.refused(text, value, f"file:1: Key: found {found}; allowed: a text")

    def test_flag(self) -> None:
        self.assertIs(parse_value(flag, False), False)
        self.refused(flag, 0, "file:1: Key: found 0; allowed: true or false")

    def test_class_name(self) -> None:
        self.assertEqual(parse_value(class_name, "a.b_2.C"), "a.b_2.C")
        for value in ("Class", "a..B", "a.2b", "a.b()", ".a", "a.b\n"):
            found = repr(value)
            self.refused(
                class_name, value, f"file:1: Key: found {found}; allowed: package.module.Class"
            )

    def test_whole(self) -> None:
        self.assertEqual([parse_value(whole(3, 9), edge) for edge in (3, 9)], [3, 9])
        refused: list[tuple[object, str]] = [
            (2, "2"),
            (10, "10"),
            ("5", "'5'"),
            (5.0, "5.0"),
            (True, "true"),
            (None, "nothing"),
        ]
        allowed = "allowed: a whole number from 3 to 9"
        for value, found in refused:
            self.refused(whole(3, 9), value, f"file:1: Key: found {found}; {allowed}")

    def test_choice(self) -> None:
        self.assertIs(parse_value(choice(Colour), "green"), Colour.GREEN)
        self.refused(
            choice(Colour),
            "gren",
            "file:1: Key: found 'gren'; allowed: red, green; did you mean 'green'?",
        )
        self.refused(choice(Colour), 1, "file:1: Key: found 1; allowed: red, green")

    def test_secret(self) -> None:
        self.assertEqual(parse_value(secret, "hush"), "hush")
        for value in ("", " ", 12345, ["hush"], None):
            self.refused(
                secret,
                value,
                "file:1: Key: found a value that is no text;"
                " allowed: a text, in quotes if it is all digits",
            )

    def test_optional(self) -> None:
        nothing: tuple[object, ...] = (None, "", [], {})
        for value in nothing:
            self.assertIsNone(parse_value(optional(text), value))
        self.assertEqual(parse_value(optional(text), "a"), "a")
        self.refused(optional(text), False, "file:1: Key: found false; allowed: a text")
        self.refused(optional(text), 0, "file:1: Key: found 0; allowed: a text")

    def test_list(self) -> None:
        self.assertEqual(parse_value(list_of(whole(0, 9)), [1, 2]), (1, 2))
        one = "allowed: a list with at least one item"
        self.refused(list_of(text), [], f"file:1: Key: found an empty list; {one}")
        self.refused(list_of(text), "a", f"file:1: Key: found 'a'; {one}")

    def test_list_names_every_bad_item(self) -> None:
        self.refused(
            list_of(text),
            [1, "good", None],
            "file:1: Key[0]: found 1; allowed: a text",
            "file:1: Key[2]: found nothing; allowed: a text",
        )

    @given(
        value=one_of(
            none(), booleans(), integers(), floats(), texts(), lists(integers(), max_size=2)
        )
    )
    def test_nothing_but_config_error(self, value: object) -> None:
        """Whatever a value is, a parser takes it or has exactly one line against it."""
        for parse in (text, flag, class_name, whole(0, 9), choice(Colour)):
            try:
                parse_value(parse, value)
            except ConfigError as error:
                self.assertEqual(len(error.faults), 1)
