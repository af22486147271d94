from dataclasses import MISSING, fields

from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.limits import LimitsConfig
from gnetway.config.load import load_file
from gnetway.config.values import keys_of
from gnetway.errors import ConfigError
from tests.config.cases import GOOD, ConfigCase, parse_value


class DefaultTests(SynchronousTestCase):
    def test_every_field_is_a_key_with_unit(self) -> None:
        keys = keys_of(LimitsConfig)
        self.assertEqual(len(keys), len(fields(LimitsConfig)))
        for item, key in keys:
            self.assertTrue(key.unit or type(item.default) is bool, key.name)
            self.assertIsNot(item.default, MISSING)

    def test_defaults_are_allowed(self) -> None:
        for item, key in keys_of(LimitsConfig):
            self.assertEqual(parse_value(key.parse, item.default), item.default)

    def test_names(self) -> None:
        """The name in the file is the field's own, as Teamgram writes names."""
        for item, key in keys_of(LimitsConfig):
            self.assertEqual(key.name, item.name.title().replace("_", ""))

    def test_no_limit_can_be_switched_off(self) -> None:
        for _, key in keys_of(LimitsConfig):
            for value in (-1, 1 << 40):
                self.assertRaises(ConfigError, parse_value, key.parse, value)


class FileTests(ConfigCase):
    def with_limits(self, *lines: str) -> str:
        inner = "".join(f"    {line}\n" for line in lines)
        return GOOD.replace("Session:", f"  Limits:\n{inner}Session:")

    def test_set(self) -> None:
        path = self.write("gnetway.yaml", self.with_limits("IdleSeconds: 77"))
        limits = load_file(path).gnetway.limits
        self.assertEqual((limits.idle_seconds, limits.handshake_seconds), (77, 30))

    def test_all_keys_commented_out(self) -> None:
        path = self.write("gnetway.yaml", self.with_limits("# IdleSeconds: 77"))
        self.assertEqual(load_file(path).gnetway.limits, LimitsConfig())

    def test_faults(self) -> None:
        faults = self.faults(self.with_limits("IdleSecond: 77", "MaxExchanges: 0", "x: 1"))
        self.assertTrue(faults[0].startswith("8: Gnetway.Limits.IdleSecond: found an unknown key"))
        self.assertTrue(faults[0].endswith("; did you mean 'IdleSeconds'?"))
        self.assertEqual(
            faults[1],
            "9: Gnetway.Limits.MaxExchanges: found 0; allowed: a whole number of key exchanges"
            " from 1 to 1000000",
        )
        self.assertTrue(faults[2].startswith("10: Gnetway.Limits.x: found an unknown key"))
