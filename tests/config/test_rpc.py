from gnetway.config.load import load_file
from gnetway.config.session import Carrier, RpcConfig
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.carriers import CARRIERS
from tests.config.cases import REMOTE, ConfigCase
from tests.config.test_pem_files import pair

_NETWORKS = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"]


class RpcTests(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("cert.pem", pair()[0])
        self.write("tls.pem", pair()[1])
        self.write("other.pem", pair(1)[1])

    def rpc(self, keys: str) -> RpcConfig:
        return load_file(self.write("gnetway.yaml", REMOTE + f"Rpc: {{{keys}}}\n")).rpc

    def test_defaults_are_those_of_the_seam(self) -> None:
        rpc, options = self.rpc(""), RpcOptions()
        self.assertEqual(rpc, RpcConfig())
        self.assertEqual(rpc.max_message_bytes, options.max_message_bytes)
        self.assertEqual(rpc.keepalive_seconds, options.keepalive_seconds)
        self.assertEqual(rpc.keepalive_timeout_seconds, options.keepalive_timeout_seconds)
        self.assertEqual(rpc.allowed_networks or (), options.allowed_networks)
        self.assertIsNone(rpc.tls)

    def test_every_carrier_can_be_chosen(self) -> None:
        self.assertEqual({carrier.value for carrier in Carrier}, set(CARRIERS))

    def test_set(self) -> None:
        rpc = self.rpc("Carrier: grpcio, MaxMessageBytes: 33554432, KeepaliveSeconds: 0")
        self.assertEqual((rpc.max_message_bytes, rpc.keepalive_seconds), (33554432, 0))

    def test_allowed_networks(self) -> None:
        networks = self.rpc("AllowedNetworks: [10.0.0.0/8, 127.0.0.1, 'fd00::/8']").allowed_networks
        self.assertEqual([str(one) for one in networks or ()], _NETWORKS)
        self.assert_faults(
            REMOTE + "Rpc: {AllowedNetworks: [here]}\n",
            "10: Rpc.AllowedNetworks[0]: found 'here';"
            " allowed: a network such as 10.0.0.0/8 or fd00::/8, or one address",
        )

    def test_less_input_than_a_message(self) -> None:
        self.assert_faults(
            REMOTE + "Rpc: {MaxInputBytes: 1048576}\n",
            "10: Rpc.MaxInputBytes: found 1048576;"
            " allowed: at least 67108864, for a message of Rpc.MaxMessageBytes",
        )

    def test_unknown_carrier(self) -> None:
        self.assert_faults(
            REMOTE + "Rpc: {Carrier: grpc}\n",
            "10: Rpc.Carrier: found 'grpc'; allowed: native, grpcio; did you mean 'grpcio'?",
        )

    def test_tls(self) -> None:
        tls = self.rpc("TLS: {CertFile: cert.pem, KeyFile: tls.pem, CAFile: cert.pem}").tls
        assert tls is not None
        assert tls.ca is not None
        self.assertEqual((tls.cert.content, tls.cert_key.content), pair()[:2])
        self.assertEqual(tls.ca.content, pair()[0])

    def test_tls_without_a_ca(self) -> None:
        tls = self.rpc("TLS: {CertFile: cert.pem, KeyFile: tls.pem}").tls
        assert tls is not None
        self.assertIsNone(tls.ca)

    def test_half_of_tls(self) -> None:
        self.assert_faults(
            REMOTE + "Rpc: {TLS: {CertFile: cert.pem}}\n",
            "10: Rpc.TLS.KeyFile: found nothing; allowed: the path of a file with an unencrypted"
            " private key in PEM",
        )

    def test_unreadable(self) -> None:
        self.assert_faults(
            REMOTE + "Rpc: {TLS: {CertFile: none.pem, KeyFile: tls.pem}}\n",
            f"10: Rpc.TLS.CertFile: found 'none.pem', not readable as {self.directory}/none.pem:"
            " No such file or directory; allowed: one or more certificates in PEM",
        )

    def test_key_of_another_certificate(self) -> None:
        faults = self.faults(REMOTE + "Rpc: {TLS: {CertFile: cert.pem, KeyFile: other.pem}}\n")
        self.assertEqual(len(faults), 1)
        self.assertTrue(faults[0].startswith("10: Rpc.TLS.KeyFile: found the key "), faults)

    def test_too_small_for_a_packet(self) -> None:
        """Such a packet could never reach a session service."""
        self.assert_faults(
            REMOTE + "Rpc:\n  MaxMessageBytes: 4194304\n",
            "11: Rpc.MaxMessageBytes: found 4194304;"
            " allowed: at least 16781312, for a packet of Gnetway.Limits.MaxPacketBytes",
        )

    def test_packets_too_large_for_the_default(self) -> None:
        text = REMOTE.replace("Session:", "  Limits: {MaxPacketBytes: 134217728}\nSession:")
        self.assert_faults(
            text,
            "1: Rpc.MaxMessageBytes: found 67108864;"
            " allowed: at least 134221824, for a packet of Gnetway.Limits.MaxPacketBytes",
        )
