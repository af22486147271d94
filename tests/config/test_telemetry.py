"""Telemetry: where traces go."""

from gnetway.config.changes import digest
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.operators import Batcher, TelemetryConfig
from tests.config.cases import GOOD, REMOTE, ConfigCase

SECRET = "0123-do-not-tell"


class TelemetryTests(ConfigCase):
    def load(self, keys: str, text: str = REMOTE) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", f"{text}Telemetry: {{{keys}}}\n"))

    def fault(self, keys: str) -> str:
        (fault,) = self.faults(f"{REMOTE}Telemetry: {{{keys}}}\n")
        return fault.partition("Telemetry.")[2]

    def test_as_go_zero_has_it(self) -> None:
        config = self.load("Endpoint: 'jaeger:4317'")
        self.assertEqual(config.telemetry, TelemetryConfig(endpoint="jaeger:4317"))
        self.assertEqual(config.unused, ())

    def test_everything(self) -> None:
        config = self.load(
            "Name: gw, Endpoint: 'otel:4318', Sampler: 0.25, Batcher: otlphttp,"
            f" OtlpHeaders: {{Uptrace-DSN: {SECRET}}}, OtlpHttpPath: /x/traces,"
            " OtlpHttpSecure: true, Disabled: false"
        )
        self.assertEqual(
            config.telemetry,
            TelemetryConfig(
                name="gw",
                endpoint="otel:4318",
                ratio=0.25,
                batcher=Batcher.OTLP_HTTP,
                headers={"uptrace-dsn": SECRET},
                http_path="/x/traces",
                http_secure=True,
            ),
        )
        self.assertEqual(config.unused, ())
        self.assertNotIn(SECRET, repr(config))

    def test_a_header_is_in_no_digest(self) -> None:
        one, other = (
            digest(self.load(f"Endpoint: 'a:1', OtlpHeaders: {{a: {value}}}"))
            for value in (SECRET, "another")
        )
        self.assertEqual(one, other)

    def test_nothing_is_traced(self) -> None:
        for keys, unused in (
            ("", ()),
            ("Name: x", ("Telemetry.Name",)),
            ("Endpoint: '', Sampler: 1.0", ("Telemetry.Sampler",)),
            ("Disabled: true", ()),
            ("Disabled: true, Endpoint: 'a:1'", ("Telemetry.Endpoint",)),
            ("Endpoint: 'http://a:1/api/traces', Batcher: jaeger", ("Telemetry",)),
            ("batcher: zipkin", ("Telemetry",)),
        ):
            config = self.load(keys)
            self.assertIsNone(config.telemetry)
            self.assertEqual(config.unused, unused, keys)

    def test_what_another_batcher_has(self) -> None:
        config = self.load("Endpoint: 'a:1', OtlpHttpPath: /x")
        self.assertEqual(config.unused, ("Telemetry.OtlpHttpPath",))

    def test_without_session_services(self) -> None:
        config = self.load("Endpoint: 'a:1'", GOOD)
        self.assertEqual(config.unused, ("Telemetry",))

    def test_faults(self) -> None:
        for keys, fault in (
            ("Endpoint: 'http://a:1/x'", "Endpoint: found 'http://a:1/x'; allowed: host:port"),
            ("Sampler: 1.5", "Sampler: found 1.5; allowed: a number from 0 to 1"),
            ("Sampler: true", "Sampler: found true; allowed: a number from 0 to 1"),
            ("Sampler: .nan", "Sampler: found nan; allowed: a number from 0 to 1"),
            ("Batcher: otlp", "Batcher: found 'otlp'; allowed: otlpgrpc, otlphttp"),
            ("OtlpHttpPath: x", "OtlpHttpPath: found 'x'; allowed: a path that begins with /"),
            ("OtlpHeaders: x", "OtlpHeaders: found no mapping; allowed: a mapping of names"),
            ("Endpont: x", "Endpont: found an unknown key; allowed: "),
        ):
            self.assertTrue(self.fault(keys).startswith(fault), self.fault(keys))

    def test_a_fault_of_a_header_shows_no_value(self) -> None:
        for keys in (f"'a b': {SECRET}", f'a: "{SECRET}\\n"', f"a: [{SECRET}]"):
            fault = self.fault(f"OtlpHeaders: {{{keys}}}")
            self.assertTrue(fault.startswith("OtlpHeaders.a"), fault)
            self.assertNotIn(SECRET, fault)
