from dataclasses import fields

from gnetway.config.limits import AdmissionConfig, NetworkConfig
from gnetway.config.load import load_file
from gnetway.config.values import keys_of
from tests.config.cases import GOOD, ConfigCase, parse_value


class AdmissionTests(ConfigCase):
    def with_admission(self, *lines: str) -> str:
        inner = "".join(f"    {line}\n" for line in lines)
        return GOOD.replace("Session:", f"  Admission:\n{inner}Session:")

    def load(self, *lines: str) -> AdmissionConfig:
        path = self.write("gnetway.yaml", self.with_admission(*lines))
        return load_file(path).gnetway.admission

    def test_every_field_is_a_key(self) -> None:
        for cls in (AdmissionConfig, NetworkConfig):
            keys = keys_of(cls)
            self.assertEqual(len(keys), len(fields(cls)))
            for item, key in keys:
                self.assertEqual(key.name, item.name.title().replace("_", ""))

    def test_defaults_are_allowed(self) -> None:
        for item, key in keys_of(AdmissionConfig):
            self.assertEqual(parse_value(key.parse, item.default), item.default)

    def test_nothing_set(self) -> None:
        self.assertEqual(self.load("# Connections: 7"), AdmissionConfig())

    def test_set(self) -> None:
        admission = self.load(
            "ConnectionsPerAddress: 100",
            "Deny: [198.51.100.0/24, '2001:db8::/32']",
            "Allow: []",
            "Networks:",
            "  - Networks: [10.0.0.0/8]",
            "    Exempt: true",
        )
        self.assertEqual(admission.connections_per_address, 100)
        self.assertEqual(len(admission.deny or ()), 2)
        self.assertIsNone(admission.allow)
        [own] = admission.networks or ()
        self.assertTrue(own.exempt)
        self.assertIsNone(own.new_connections_burst)

    def test_faults(self) -> None:
        faults = self.faults(
            self.with_admission(
                "Connections: -1", "Deny: [10.1.2.3/8]", "Networks:", "  - Exempt: true"
            )
        )
        for fault, path in zip(
            faults, ("Connections", "Deny[0]", "Networks[0].Networks"), strict=True
        ):
            self.assertIn(f": Gnetway.Admission.{path}: found ", fault)
