from dataclasses import dataclass, field

from hypothesis import given
from hypothesis.strategies import dictionaries, integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.reader import section
from gnetway.config.values import is_needed, key, keys_of, list_of, whole
from gnetway.errors import ConfigError
from tests.config.cases import parse_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    size: int = field(metadata=key("Size", whole(0, 9, "bytes")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    count: int = field(default=7, metadata=key("Count", whole(0, 9, "things")))
    inner: Inner = field(metadata=key("Inner", section(Inner)))
    more: tuple[Inner, ...] = field(default=(), metadata=key("More", list_of(section(Inner))))
    note: str = "not a key"


class SectionTests(SynchronousTestCase):
    def refused(self, value: object, *expected: str) -> None:
        error = self.assertRaises(ConfigError, parse_value, section(Outer), value)
        self.assertEqual(error.faults, [f"file:1: Key{fault}" for fault in expected])

    def test_filled(self) -> None:
        self.assertEqual(
            parse_value(section(Outer), {"Inner": {"Size": 1}, "More": [{"Size": 2}]}),
            Outer(inner=Inner(size=1), more=(Inner(size=2),)),
        )

    def test_default(self) -> None:
        self.assertEqual(parse_value(section(Outer), {"Inner": {"Size": 1}}).count, 7)

    def test_needed_key_that_is_absent(self) -> None:
        self.refused({}, ".Inner: found nothing; allowed: a section with Size")

    def test_no_mapping(self) -> None:
        self.refused([], ": found a list; allowed: a mapping of keys")

    def test_empty_section(self) -> None:
        """Nothing after the colon is a section whose keys are all commented out."""
        self.refused(None, ".Inner: found nothing; allowed: a section with Size")

    def test_bad_key_is_not_also_absent(self) -> None:
        self.refused({"Inner": 5}, ".Inner: found 5; allowed: a mapping of keys")

    def test_all_faults(self) -> None:
        """However deep, and each with its path."""
        self.refused(
            {"Count": -1, "More": [{}, {"Size": 1}, {"Size": "x"}], "Innner": {}},
            ".Count: found -1; allowed: a whole number of things from 0 to 9",
            ".More[0].Size: found nothing; allowed: a whole number of bytes from 0 to 9",
            ".More[2].Size: found 'x'; allowed: a whole number of bytes from 0 to 9",
            ".Innner: found an unknown key; allowed: Count, Inner, More; did you mean 'Inner'?",
            ".Inner: found nothing; allowed: a section with Size",
        )

    def test_field_without_a_key_is_no_key(self) -> None:
        self.refused(
            {"note": "x", "Inner": {"Size": 1}},
            ".note: found an unknown key; allowed: Count, Inner, More",
        )

    @given(values=dictionaries(sampled_from(["Count", "Size", "Colour"]), integers(-5, 15)))
    def test_one_fault_for_each_fault(self, values: dict[str, int]) -> None:
        """As many lines as there are things wrong, whatever else is there."""
        wrong = sum(name != "Count" or not 0 <= value <= 9 for name, value in values.items())
        data: dict[str, object] = {**values, "Inner": {"Size": 1}}
        if wrong:
            error = self.assertRaises(ConfigError, parse_value, section(Outer), data)
            self.assertEqual(len(error.faults), wrong)
        else:
            self.assertEqual(parse_value(section(Outer), data).count, values.get("Count", 7))


class KeysTests(SynchronousTestCase):
    def test_keys_of(self) -> None:
        self.assertEqual([key.name for _, key in keys_of(Outer)], ["Count", "Inner", "More"])

    def test_needed(self) -> None:
        self.assertEqual([is_needed(item) for item, _ in keys_of(Outer)], [False, True, False])
