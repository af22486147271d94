from collections.abc import Mapping

import yaml
from hypothesis import given
from hypothesis.strategies import (
    SearchStrategy,
    binary,
    booleans,
    characters,
    dictionaries,
    floats,
    integers,
    lists,
    none,
    one_of,
    recursive,
    sampled_from,
    text,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.addresses import Address, listener_address
from gnetway.config.limits import LimitsConfig
from gnetway.config.load import MAX_CONFIG_BYTES, load_file, load_mapping
from gnetway.config.model import GnetwayConfig
from gnetway.config.reader import IGNORED, NOT_YET
from gnetway.config.servers import Proto
from gnetway.config.session import (
    EmbeddedConfig,
    EtcdConfig,
    HoldConfig,
    RpcConfig,
    RpcTlsConfig,
    SessionConfig,
)
from gnetway.config.values import allowed_by, keys_of, list_of
from gnetway.errors import ConfigError
from tests.config.cases import GOOD, ConfigCase, embedded

SECTIONS = (
    GnetwayConfig,
    LimitsConfig,
    EtcdConfig,
    RpcConfig,
    RpcTlsConfig,
    SessionConfig,
    HoldConfig,
    EmbeddedConfig,
)

#: Every name of the vocabulary, so that arbitrary mappings get deep into it.
NAMES = sorted(
    {part for path in (*NOT_YET, *IGNORED) for part in path.split(".")}
    | {key.name for cls in SECTIONS for _, key in keys_of(cls)}
    | {"RSAKey", "KeyFile", "KeyFingerprint", "Addresses", "Name", "ListenOn", "UseStreamSession"}
)


def documents(letters: SearchStrategy[str]) -> SearchStrategy[dict[str, object]]:
    scalars = one_of(
        none(),
        booleans(),
        integers(),
        floats(),
        text(letters, max_size=20),
        sampled_from(["tcp", "memory", "127.0.0.1:1", "h:1", "key.pem", "a.B"]),
    )
    keys = one_of(sampled_from(NAMES), text(letters, max_size=10))

    def nested(inner: SearchStrategy[object]) -> SearchStrategy[object]:
        return one_of(lists(inner, max_size=3), dictionaries(keys, inner, max_size=5))

    return dictionaries(keys, recursive(scalars, nested, max_leaves=20), max_size=8)


class LoadFileTests(ConfigCase):
    def test_good(self) -> None:
        path = self.write("gnetway.yaml", GOOD)
        config = load_file(path)
        self.assertEqual(config.name, "interface.gateway")
        self.assertEqual(config.gnetway.limits, LimitsConfig())
        self.assertEqual(config.gnetway.key_cache_bytes, 10 * 1024 * 1024)
        self.assertIsNone(embedded(config).handler)
        self.assertEqual([server.proto for server in config.gnetway.servers], [Proto.TCP])
        self.assertEqual((config.unused, config.source), ((), path))

    def test_own_keys(self) -> None:
        text = GOOD.replace("memory", "memory\n    Handler: shop.rpc.Shop")
        text = text.replace("Gnetway:", "Name: shop\nGnetway:\n  AuthKeyCacheM: 3")
        config = load_file(self.write("gnetway.yaml", text))
        self.assertEqual(config.name, "shop")
        self.assertEqual(embedded(config).handler, "shop.rpc.Shop")
        self.assertEqual(config.gnetway.key_cache_bytes, 3 * 1024 * 1024)

    def test_cache_of_zero_is_the_default(self) -> None:
        text = GOOD.replace("Gnetway:", "Gnetway:\n  AuthKeyCacheM: 0")
        config = load_file(self.write("gnetway.yaml", text))
        self.assertEqual(config.gnetway.key_cache_bytes, 10 * 1024 * 1024)

    def test_keys_in_any_case(self) -> None:
        """As Teamgram's framework reads them; paths come out in the vocabulary's spelling."""
        text = GOOD.replace("Gnetway", "gnetway").replace("Addresses", "ADDRESSES")
        config = load_file(self.write("gnetway.yaml", text))
        self.assertEqual(
            config.gnetway.servers[0].addresses[0].path, "Gnetway.Server[0].Addresses[0]"
        )

    def test_byte_order_mark(self) -> None:
        self.assertEqual(
            len(load_file(self.write("f", b"\xef\xbb\xbf" + GOOD.encode())).rsa_keys), 1
        )

    def test_fault_at_start_names_its_line(self) -> None:
        path = self.write("gnetway.yaml", GOOD)
        config = load_file(path)
        address = config.gnetway.servers[0].addresses[0]
        self.assertEqual(
            config.fault(address.path, f"{address}, which is in use", "a free address"),
            f"{path}:6: Gnetway.Server[0].Addresses[0]: found 127.0.0.1:10443, which is in use;"
            " allowed: a free address",
        )

    def test_several_faults_in_the_order_of_the_file(self) -> None:
        """Those of the key are not hidden by those of a section, nor the other way round."""
        text = "KeyFile: none\n" + GOOD.replace("- 127", "- 1.127").replace("Store", "Stor")
        faults = self.faults(text.replace("Gnetway:", "Colour: red\nGnetway:"))
        self.assertEqual(
            [fault.partition(": found")[0] for fault in faults],
            [
                "1: KeyFile",
                "4: Colour",
                "8: Gnetway.Server[0].Addresses[0]",
                "10: Session.Embedded.Store",
                "11: Session.Embedded.Stor",
            ],
        )


class FileFaultTests(ConfigCase):
    """Faults of the file as a whole, and of its larger parts."""

    def test_missing(self) -> None:
        path = str(self.directory / "none.yaml")
        error = self.assertRaises(ConfigError, load_file, path)
        self.assertEqual(
            error.faults,
            [f"{path}: found no readable file: No such file or directory; allowed: a YAML file"],
        )

    def test_directory(self) -> None:
        error = self.assertRaises(ConfigError, load_file, str(self.directory))
        self.assertIn("Is a directory", error.faults[0])

    def test_impossible_path(self) -> None:
        error = self.assertRaises(ConfigError, load_file, "a\0b")
        self.assertEqual(
            error.faults,
            ["a\\x00b: found no readable file: not a possible path; allowed: a YAML file"],
        )

    def test_too_large(self) -> None:
        faults = self.faults(b"#" * (MAX_CONFIG_BYTES + 1))
        self.assertEqual(
            faults, ["found no readable file: more than 262144 bytes; allowed: a YAML file"]
        )

    def test_not_utf8(self) -> None:
        self.assert_faults(
            b"A: 1\nB: \xff\n", "2: found bytes that are no UTF-8; allowed: a YAML file in UTF-8"
        )

    def test_yaml_error(self) -> None:
        self.assert_faults(
            GOOD + "x: 'y\n",
            "11: found a YAML error while scanning a quoted scalar:"
            " found unexpected end of stream; allowed: YAML",
        )

    def test_empty(self) -> None:
        self.assert_faults("", "found an empty file; allowed: a mapping of keys")

    def test_no_mapping(self) -> None:
        self.assert_faults("just text\n", "1: found 'just text'; allowed: a mapping of keys")

    def test_key_twice(self) -> None:
        self.assert_faults(
            GOOD + "Session: 1\n",
            "10: Session: found the key a second time; allowed: each key once",
        )

    def test_nothing_in_it(self) -> None:
        self.assert_faults(
            "Name: x\n",
            "1: Gnetway: found nothing; allowed: a section with Server: listeners",
            "1: Session: found nothing; allowed: a section with Embedded, Etcd or Endpoints",
            "1: RSAKey: found nothing;"
            " allowed: RSAKey, a list with KeyFile: the path of an RSA key in PEM",
        )

    def test_no_listener(self) -> None:
        head, _, tail = GOOD.partition("  Server:")
        tail = tail[tail.index("Session:") :]
        one = "allowed: a list with at least one item"
        addresses = allowed_by(list_of(listener_address))
        for middle, fault in (
            (
                "",
                "3: Gnetway.Server: found nothing; allowed: a list, each a section with Addresses",
            ),
            (
                "  Server: []\n",
                f"4: Gnetway.Server: found an empty list; {one}",
            ),
            (
                "  Server: [{Proto: tcp}]\n",
                f"4: Gnetway.Server[0].Addresses: found nothing; allowed: {addresses}",
            ),
            (
                "  Server: [{Addresses: []}]\n",
                f"4: Gnetway.Server[0].Addresses: found an empty list; {one}",
            ),
        ):
            self.assert_faults(head + middle + tail, fault)

    def test_wrong_type_of_a_section(self) -> None:
        self.assert_faults(
            GOOD.replace("    Store: memory", "    - memory"),
            "8: Session.Embedded: found a list; allowed: a mapping of keys",
        )

    def test_same_address_in_two_servers(self) -> None:
        text = GOOD.replace("Session:", "    - Addresses: [127.0.0.1:10443]\nSession:")
        self.assert_faults(
            text,
            "7: Gnetway.Server[1].Addresses[0]: found 127.0.0.1:10443 a second time,"
            " after Gnetway.Server[0].Addresses[0]; allowed: each address once",
        )

    def test_unknown_proto(self) -> None:
        self.assert_faults(
            GOOD.replace("- Addresses", "- Proto: tpc\n      Addresses"),
            "5: Gnetway.Server[0].Proto: found 'tpc'; allowed: tcp, websocket, http,"
            " auto; did you mean 'tcp'?",
        )

    def test_misspelt_key(self) -> None:
        self.assert_faults(
            GOOD.replace("Store: memory", "Store: memory\n    Handlr: x"),
            "10: Session.Embedded.Handlr: found an unknown key; allowed: Handler,"
            " MaxKeys, MaxUnackedBytes, Middleware, Store, ThisDC;"
            " did you mean 'Handler'?",
        )

    def test_bad_handler(self) -> None:
        self.assert_faults(
            GOOD.replace("Store: memory", "Store: memory\n    Handler: Shop"),
            "10: Session.Embedded.Handler: found 'Shop'; allowed: package.module.Class",
        )


class LoadMappingTests(ConfigCase):
    def mapping(self) -> dict[str, object]:
        return {
            "RSAKey": [{"KeyFile": self.directory / "key.pem"}],
            "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:0"]}]},
            "Session": {"Embedded": {"Store": "memory"}},
        }

    def test_good(self) -> None:
        config = load_mapping(self.mapping())
        self.assertEqual(config.gnetway.servers[0].addresses, (Address("127.0.0.1", 0),))
        self.assertEqual(config.source, "<dict>")

    def test_same_as_the_file(self) -> None:
        path = self.write("gnetway.yaml", GOOD)
        data = yaml.safe_load(GOOD.replace("key.pem", str(self.directory / "key.pem")))
        self.assertEqual(load_file(path).gnetway, load_mapping(data).gnetway)

    def test_fault_without_a_line(self) -> None:
        error = self.assertRaises(ConfigError, load_mapping, {**self.mapping(), "Name": 5}, "app")
        self.assertEqual(error.faults, ["app: Name: found 5; allowed: a text"])

    def test_key_that_is_no_text(self) -> None:
        data: dict[str, object] = {**self.mapping(), 5: 6}  # type: ignore[dict-item]
        error = self.assertRaises(ConfigError, load_mapping, data)
        self.assertEqual(
            error.faults, ["<dict>: found a key that is no text; allowed: names as keys, no <<"]
        )


class AnythingTests(SynchronousTestCase):
    def check(self, error: ConfigError) -> None:
        self.assertTrue(error.faults)
        for fault in error.faults:
            self.assertTrue(fault.isprintable(), fault)

    @given(data=documents(characters()))
    def test_mapping(self, data: Mapping[str, object]) -> None:
        """Any mapping is a configuration or has faults, one printable line each."""
        try:
            load_mapping(data)
        except ConfigError as error:
            self.check(error)

    @given(data=documents(characters(codec="utf-8")))
    def test_yaml(self, data: Mapping[str, object]) -> None:
        case = ConfigCase()
        case.setUp()
        try:
            load_file(case.write("f.yaml", yaml.safe_dump(data)))
        except ConfigError as error:
            self.check(error)
        finally:
            case.doCleanups()

    @given(content=binary(max_size=200))
    def test_bytes(self, content: bytes) -> None:
        case = ConfigCase()
        case.setUp()
        try:
            self.check(case.assertRaises(ConfigError, load_file, case.write("f.yaml", content)))
        finally:
            case.doCleanups()
