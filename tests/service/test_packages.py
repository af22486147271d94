from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from unittest.mock import patch

from gnetway.errors import ConfigError
from gnetway.service import prepared
from tests.net.certificates import Files, Pair
from tests.service.cases import ServiceCase


def fault(key: str, missing: str) -> str:
    return (
        f"app: Gnetway.Server[0].{key}: found it, but without the packages that it needs:"
        f" {missing}; allowed: it after `pip install {missing.replace(',', '')}`"
    )


class PackagesTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.files = Files(self.directory / "tls")
        self.files.write(Pair("gateway"))

    def faults(self, *missing: str, **keys: object) -> list[str]:
        """Return the faults of a listener on a machine without some modules."""

        def find(module: str) -> ModuleSpec | None:
            return None if module in missing else find_spec(module)

        server = {"Addresses": ["127.0.0.1:0"], **keys}
        config = self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": [server]})
        with patch.object(prepared, "find_spec", find):
            try:
                prepared.check_web_packages(config)
            except ConfigError as error:
                return error.faults
        return []

    def test_all_there(self) -> None:
        tls = {"CertFile": self.files.cert, "KeyFile": self.files.key}
        self.assertEqual(self.faults(Proto="auto", TLS=tls), [])

    def test_only_what_is_asked_for(self) -> None:
        for proto in ("tcp", "http"):
            self.assertEqual(self.faults("autobahn", "txaio", "OpenSSL", Proto=proto), [])
        for proto in ("websocket", "auto"):
            self.assertEqual(self.faults("OpenSSL", Proto=proto), [])
            self.assertEqual(
                self.faults("autobahn", "txaio", Proto=proto),
                [fault("Proto", "autobahn, txaio")],
            )

    def test_tls(self) -> None:
        tls = {"CertFile": self.files.cert, "KeyFile": self.files.key}
        self.assertEqual(
            self.faults("OpenSSL", TLS=tls),
            [fault("TLS", "pyopenssl")],
        )
