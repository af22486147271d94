from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.session import Announce, HoldConfig, SessionConfig
from tests.config.cases import GOOD, REMOTE, ConfigCase

ETCD = "Etcd: {Hosts: [a:2379]}"
ONE_OF = "allowed: one of Embedded, Etcd, Endpoints"


def with_session(*lines: str) -> str:
    """Return a file whose Session has these lines, from line 9 on."""
    inner = "".join(f"  {line}\n" for line in lines)
    return REMOTE.replace("  Endpoints: [10.0.0.7:20120]\n", inner)


class PlaceTests(ConfigCase):
    def load(self, text: str) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", text))

    def test_embedded(self) -> None:
        session = self.load(GOOD).session
        self.assertFalse(session.is_remote)
        self.assertEqual((session.etcd, session.endpoints), (None, None))

    def test_endpoints(self) -> None:
        config = self.load(REMOTE)
        self.assertTrue(config.session.is_remote)
        self.assertEqual(config.session.endpoints, ("10.0.0.7:20120",))
        self.assertIsNone(config.etcd)
        self.assertEqual(str(config.listen_on), "127.0.0.1:20110")
        self.assertEqual(config.unused, ())

    def test_etcd(self) -> None:
        session = self.load(with_session(ETCD) + ETCD + "\n").session
        assert session.etcd is not None
        self.assertEqual(session.etcd.prefix, "interface.session")
        self.assertEqual(session.etcd.hosts, ("a:2379",))

    def test_empty_ones_do_not_count(self) -> None:
        config = self.load(with_session("Etcd: {}", "Endpoints: [h:1]"))
        self.assertEqual(config.session.endpoints, ("h:1",))

    def test_none(self) -> None:
        for lines in ((), ("Etcd:",), ("Endpoints: []",), ("Timeout: 500",)):
            self.assert_faults(
                with_session(*lines), f"8: Session: found no session backend; {ONE_OF}"
            )

    def test_two(self) -> None:
        self.assert_faults(
            with_session("Embedded: {Store: memory}", "Endpoints: [h:1]"),
            f"10: Session.Endpoints: found it beside Embedded; {ONE_OF}",
        )

    def test_three(self) -> None:
        self.assert_faults(
            with_session("Embedded: {Store: memory}", ETCD, "Endpoints: [h:1]") + ETCD + "\n",
            f"11: Session.Endpoints: found it beside Embedded and Etcd; {ONE_OF}",
        )


class TogetherTests(ConfigCase):
    def test_remote_without_listen_on(self) -> None:
        self.assert_faults(
            REMOTE.replace("ListenOn: 127.0.0.1:20110\n", ""),
            "1: ListenOn: found nothing; allowed: host:port, where session services reach this one",
        )

    def test_session_etcd_without_etcd(self) -> None:
        self.assert_faults(
            with_session(ETCD),
            "1: Etcd: found nothing;"
            " allowed: a section with Hosts, by which session services find this gateway",
        )

    def test_listen_on_where_clients_come(self) -> None:
        text = REMOTE.replace("ListenOn: 127.0.0.1:20110", "ListenOn: 127.0.0.1:10443")
        self.assert_faults(
            text,
            "7: Gnetway.Server[0].Addresses[0]: found 127.0.0.1:10443 a second time,"
            " after ListenOn; allowed: each address once",
        )

    def test_without_effect_beside_the_embedded_backend(self) -> None:
        text = (
            "ListenOn: 0.0.0.0:20110\nUseStreamSession: true\n"
            + GOOD
            + "  Timeout: 2000\n  Announce: call\n  Hold: {Seconds: 5}\n"
            + f"{ETCD}\nRpc: {{KeepaliveSeconds: 60}}\n"
        )
        self.assertEqual(
            load_file(self.write("gnetway.yaml", text)).unused,
            (
                "ListenOn",
                "UseStreamSession",
                "Session.Timeout",
                "Session.Announce",
                "Session.Hold",
                "Etcd",
                "Rpc",
            ),
        )

    def test_what_changes_nothing_is_not_named(self) -> None:
        text = f'ListenOn: ""\nUseStreamSession: false\nEtcd:\nRpc:\n{GOOD}  Timeout: 4000\n'
        self.assertEqual(load_file(self.write("gnetway.yaml", text)).unused, ())


class OtherKeyTests(ConfigCase):
    def session(self, *lines: str) -> SessionConfig:
        text = with_session("Endpoints: [h:1]", *lines)
        return load_file(self.write("gnetway.yaml", text)).session

    def test_defaults(self) -> None:
        session = self.session()
        self.assertEqual((session.announce, session.timeout_milliseconds), (Announce.MESSAGE, 4000))
        self.assertEqual(session.hold, HoldConfig())

    def test_two_calls_fit_into_a_key_lookup(self) -> None:
        """The reason that the default gives for itself."""
        config = load_file(self.write("gnetway.yaml", REMOTE))
        lookup_milliseconds = 1000 * config.gnetway.limits.key_lookup_seconds
        self.assertLess(2 * config.session.timeout_milliseconds, lookup_milliseconds)

    def test_set(self) -> None:
        session = self.session(
            "Announce: call",
            "Timeout: 2000",
            "Hold: {MaxMessages: 7, MaxBytes: 1048576, Seconds: 5}",
        )
        self.assertEqual((session.announce, session.timeout_milliseconds), (Announce.CALL, 2000))
        self.assertEqual(session.hold, HoldConfig(max_messages=7, max_bytes=1 << 20, seconds=5))

    def test_refused(self) -> None:
        milliseconds = "allowed: a whole number of milliseconds from 100 to 600000"
        for line, fault in (
            ("Announce: calls", "found 'calls'; allowed: message, call; did you mean 'call'?"),
            ("Timeout: 0", f"found 0; {milliseconds}"),
            ("Timeout: 2s", f"found '2s'; {milliseconds}"),
        ):
            name = line.partition(":")[0]
            self.assert_faults(
                with_session("Endpoints: [h:1]", line), f"10: Session.{name}: {fault}"
            )

    def test_use_stream_session(self) -> None:
        for written, read in (("true", True), ("false", False)):
            text = f"UseStreamSession: {written}\n{REMOTE}"
            config = load_file(self.write("gnetway.yaml", text))
            self.assertIs(config.use_stream_session, read)
