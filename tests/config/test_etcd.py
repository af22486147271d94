from gnetway.config.load import load_file
from gnetway.config.session import EtcdConfig
from tests.config.cases import REMOTE, ConfigCase
from tests.config.test_pem_files import pair


class EtcdTests(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        for name, content in zip(("cert.pem", "tls.pem", "locked.pem"), pair(), strict=True):
            self.write(name, content)
        self.write("other.pem", pair(1)[1])

    def text(self, *keys: str) -> str:
        return REMOTE + f"Etcd: {{{', '.join(('Hosts: [a:2379, b:2379]', *keys))}}}\n"

    def etcd(self, *keys: str) -> EtcdConfig:
        etcd = load_file(self.write("gnetway.yaml", self.text(*keys))).etcd
        assert etcd is not None
        return etcd

    def test_defaults(self) -> None:
        etcd = self.etcd()
        self.assertEqual((etcd.hosts, etcd.prefix), (("a:2379", "b:2379"), "interface.gateway"))
        self.assertEqual((etcd.user, etcd.password, etcd.ca, etcd.cert, etcd.cert_key), (None,) * 5)

    def test_everything(self) -> None:
        etcd = self.etcd(
            "Key: my.gateways",
            "User: root",
            "Pass: hush",
            "CACertFile: cert.pem",
            "CertFile: cert.pem",
            "CertKeyFile: tls.pem",
        )
        assert etcd.ca is not None
        assert etcd.cert_key is not None
        self.assertEqual((etcd.prefix, etcd.user, etcd.password), ("my.gateways", "root", "hush"))
        self.assertEqual(etcd.ca.path, str(self.directory / "cert.pem"))
        self.assertEqual(etcd.cert_key.path, str(self.directory / "tls.pem"))

    def test_empty_values_are_none(self) -> None:
        """As Teamgram's deployments write what they do not use."""
        etcd = self.etcd('User: ""', 'Pass: ""', 'CertFile: ""', 'CertKeyFile: ""')
        self.assertEqual((etcd.user, etcd.password, etcd.cert), (None, None, None))

    def test_text_form_shows_no_password(self) -> None:
        self.assertNotIn("hush", repr(self.etcd("User: root", "Pass: hush")))

    def test_fault_shows_no_password(self) -> None:
        self.assert_faults(
            self.text("User: root", "Pass: 31337"),
            "10: Etcd.Pass: found a value that is no text;"
            " allowed: a text, in quotes if it is all digits",
        )

    def test_half_of_a_pair(self) -> None:
        for key, absent in (
            ("User: root", "Pass: found nothing; allowed: it beside User"),
            ("Pass: hush", "User: found nothing; allowed: it beside Pass"),
            ("CertFile: cert.pem", "CertKeyFile: found nothing; allowed: it beside CertFile"),
            ("CertKeyFile: tls.pem", "CertFile: found nothing; allowed: it beside CertKeyFile"),
        ):
            self.assert_faults(self.text(key), f"10: Etcd.{absent}")

    def test_certificate_without_a_ca(self) -> None:
        self.assert_faults(
            self.text("CertFile: cert.pem", "CertKeyFile: tls.pem"),
            "10: Etcd.CACertFile: found nothing; allowed: it beside CertFile",
        )

    def test_key_of_another_certificate(self) -> None:
        self.assert_faults(
            self.text("CACertFile: cert.pem", "CertFile: cert.pem", "CertKeyFile: other.pem"),
            f"10: Etcd.CertKeyFile: found the key {self.directory}/other.pem, which is not that of"
            f" {self.directory}/cert.pem; allowed: the key of the certificate",
        )

    def test_no_hosts(self) -> None:
        self.assert_faults(
            REMOTE + "Etcd: {Key: x}\n",
            "10: Etcd.Hosts: found nothing; allowed: a list, each host:port or [IPv6]:port,"
            " the port from 1 to 65535",
        )

    def test_hosts_that_are_none(self) -> None:
        self.assert_faults(
            REMOTE + "Etcd: {Hosts: ['http://a:2379']}\n",
            "10: Etcd.Hosts[0]: found 'http://a:2379';"
            " allowed: host:port or [IPv6]:port, the port from 1 to 65535",
        )
