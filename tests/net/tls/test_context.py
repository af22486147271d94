"""TLS in memory: handshakes, and certificates that change under open connections."""

import contextlib
import os
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.net.tls import POLL_SECONDS, CertificateFault, ServerTls, TlsSettings
from tests.clocks import FakeWall
from tests.net.certificates import NOW, Files, Pair


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Client:
    """A TLS client whose server is a protocol of Twisted's, without a socket between them."""

    def __init__(
        self,
        tls: ServerTls,
        version: int | None = None,
        alpn: list[bytes] | None = None,
        ciphers: bytes = b"",
        previous: "Client | None" = None,
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if previous is not None:
            context = previous.context
        self.context: SSL.Context = context
        if version is not None:
            context.set_max_proto_version(version)
        if ciphers:
            context.set_cipher_list(ciphers)
        if alpn is not None:
            context.set_alpn_protos(alpn)
        self.clock = Clock()
        factory = TLSMemoryBIOFactory(tls, False, Factory.forProtocol(Echo), self.clock)
        self.transport = StringTransport()
        server = factory.buildProtocol(None)
        assert server is not None
        self.server = server
        self.server.makeConnection(self.transport)
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        if previous is not None:
            session = previous.tls.get_session()
            assert session is not None
            self.tls.set_session(session)
        self.handshake()

    def handshake(self) -> None:
        for _ in range(4):
            with contextlib.suppress(SSL.WantReadError):
                self.tls.do_handshake()
            self.exchange()
        self.tls.do_handshake()

    def exchange(self) -> None:
        """Carry what waits on either side to the other."""
        with contextlib.suppress(SSL.WantReadError):
            self.server.dataReceived(self.tls.bio_read(65536))
        self.clock.advance(0)  # small writes are joined until the reactor's next turn
        answer = self.transport.value()
        self.transport.clear()
        if answer:
            self.tls.bio_write(answer)

    def echo(self, data: bytes) -> bytes:
        """Send something, and return what comes back."""
        self.tls.send(data)
        self.exchange()
        return self.tls.recv(65536)

    @property
    def name(self) -> str:
        """The name in the server's certificate."""
        certificate = self.tls.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return str(name)


class TlsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.files = Files(Path(self.mktemp()))
        self.files.write(Pair("first"))
        self.clock = Clock()
        self.wall = FakeWall(self.clock, NOW)

    def make(self, min_version: Literal["1.2", "1.3"] = "1.2") -> ServerTls:
        settings = TlsSettings(str(self.files.cert), str(self.files.key), min_version)
        tls = ServerTls(settings, self.clock, self.wall)
        self.addCleanup(tls.stop)
        return tls


class HandshakeTests(TlsTestCase):
    def test_the_interface(self) -> None:
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, self.make()))

    def test_both_versions(self) -> None:
        tls = self.make()
        for version, name in ((SSL.TLS1_2_VERSION, "TLSv1.2"), (SSL.TLS1_3_VERSION, "TLSv1.3")):
            client = Client(tls, version)
            self.assertEqual(client.tls.get_protocol_version_name(), name)
            self.assertEqual(client.echo(b"hello"), b"hello")
            self.assertEqual(client.name, "first")

    def test_the_lowest_version(self) -> None:
        self.assertRaises(SSL.Error, Client, self.make("1.3"), SSL.TLS1_2_VERSION)
        Client(self.make("1.3"))
        old = b"ECDHE+AES:@SECLEVEL=0"
        self.assertRaises(SSL.Error, Client, self.make(), SSL.TLS1_1_VERSION, None, old)

    def test_no_cipher_without_forward_secrecy(self) -> None:
        self.files.write(Pair("first", generate_private_key(65537, 2048)))
        tls = self.make()
        for ciphers in (b"AES128-GCM-SHA256", b"ECDHE-RSA-AES128-SHA", b"AES256-SHA"):
            self.assertRaises(SSL.Error, Client, tls, SSL.TLS1_2_VERSION, None, ciphers)
        Client(tls, SSL.TLS1_2_VERSION, None, b"ECDHE-RSA-AES128-GCM-SHA256")

    def test_application_protocols(self) -> None:
        """A client that knows only others is let in as well."""
        tls = self.make()
        for offered, chosen in (
            (None, b""),
            ([b"http/1.1"], b"http/1.1"),
            ([b"h2", b"http/1.1"], b"http/1.1"),
            ([b"h2"], b""),
        ):
            client = Client(tls, alpn=offered)
            self.assertEqual(client.tls.get_alpn_proto_negotiated(), chosen)
            self.assertEqual(client.echo(b"hello"), b"hello")

    def test_the_whole_chain_is_sent(self) -> None:
        issuer = Pair("issuer")
        self.files.replace(self.files.cert, self.files.cert.read_bytes() + issuer.cert_pem)
        chain = Client(self.make()).tls.get_peer_cert_chain(as_cryptography=True)
        assert chain is not None
        self.assertEqual(chain[1:], [issuer.certificate])

    def test_a_client_that_comes_again_resumes(self) -> None:
        """Then the two compute no new secret."""
        tls = self.make()
        first = Client(tls, SSL.TLS1_2_VERSION)
        again = Client(tls, previous=first)
        self.assertEqual(again.tls.master_key(), first.tls.master_key())
        self.assertEqual(again.echo(b"hello"), b"hello")
        self.assertNotEqual(
            Client(tls, SSL.TLS1_2_VERSION).tls.master_key(), first.tls.master_key()
        )


class StartTests(TlsTestCase):
    """Faults at the start are for whoever reads the configuration."""

    def test_a_file_that_is_not_there(self) -> None:
        self.files.key.unlink()
        fault = self.assertRaises(CertificateFault, self.make)
        self.assertIn("key.pem: not readable: No such file", str(fault))

    def test_a_key_that_openssl_does_not_take(self) -> None:
        self.files.write(Pair("small", generate_private_key(65537, 1024)))
        fault = self.assertRaises(CertificateFault, self.make)
        self.assertIn("cert.pem: ee key too small", str(fault))

    def test_wrong_dates_are_warned_about(self) -> None:
        """Clients that were told of the certificate check no dates."""
        for year, text in ((2025, "it has expired at 2026-01-01"), (2027, "not valid before 2027")):
            self.files.write(Pair("dated", year=year))
            with capturedLogs() as events:
                tls = self.make()
            self.assertEqual([event["log_level"] for event in events], [LogLevel.warn])
            self.assertIn(text, formatEvent(events[0]))
            self.assertEqual(Client(tls).name, "dated")

    def test_good_dates_are_nothing_to_tell(self) -> None:
        with capturedLogs() as events:
            tls = self.make()
        self.assertEqual(events, [])
        self.assertEqual(tls.valid_until, NOW + 184 * 86400)


class ReloadTests(TlsTestCase):
    def assert_kept(self, tls: ServerTls, text: str) -> None:
        """Nothing new was taken, and one line says why."""
        before = tls.valid_until
        with capturedLogs() as events:
            self.assertFalse(tls.reload())
        self.assertEqual([event["log_level"] for event in events], [LogLevel.warn])
        line = formatEvent(events[0])
        self.assertIn("not taken, the one before stays", line)
        self.assertIn(text, line)
        self.assertNotIn("\n", line)
        self.assertEqual(Client(tls).name, "first")
        self.assertEqual(tls.valid_until, before)

    def test_the_next_connection_sees_the_new_one_and_no_open_one_ends(self) -> None:
        tls = self.make()
        clients = [Client(tls) for _ in range(100)]
        self.files.write(Pair("second"))
        with capturedLogs() as events:
            self.assertTrue(tls.reload())
        self.assertEqual([event["log_level"] for event in events], [LogLevel.info])
        self.assertIn("cert.pem taken, valid until 2027-01-01", formatEvent(events[0]))
        self.assertEqual(Client(tls).name, "second")
        for client in clients:
            self.assertEqual(client.name, "first")
            self.assertEqual(client.echo(b"still here"), b"still here")
            self.assertFalse(client.transport.disconnecting)

    def test_a_handshake_under_way_ends_as_it_began(self) -> None:
        tls = self.make()
        server = tls.serverConnectionForTLS(None)
        tls_client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        server.set_accept_state()
        tls_client.set_connect_state()
        self.assertRaises(SSL.WantReadError, tls_client.do_handshake)
        self.files.write(Pair("second"))
        tls.reload()
        server.bio_write(tls_client.bio_read(65536))
        self.assertRaises(SSL.WantReadError, server.do_handshake)
        tls_client.bio_write(server.bio_read(65536))
        tls_client.do_handshake()
        certificate = tls_client.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        self.assertIn("first", certificate.subject.rfc4514_string())

    def test_the_same_certificate_again(self) -> None:
        tls = self.make()
        self.assertTrue(tls.reload())
        self.assertEqual(Client(tls).name, "first")

    def test_the_key_of_another(self) -> None:
        tls = self.make()
        self.files.replace(self.files.key, Pair("second").key_pem)
        self.assert_kept(tls, "key.pem: not the key of the first certificate in")

    def test_a_file_that_is_gone(self) -> None:
        tls = self.make()
        self.files.cert.unlink()
        self.assert_kept(tls, "cert.pem: not readable: No such file or directory")

    def test_a_file_of_something_else(self) -> None:
        tls = self.make()
        self.files.replace(self.files.cert, b"<html>502</html>")
        self.assert_kept(tls, "cert.pem: no certificate in PEM")

    def test_a_key_that_openssl_does_not_take(self) -> None:
        tls = self.make()
        self.files.write(Pair("small", generate_private_key(65537, 1024)))
        self.assert_kept(tls, "key too small")

    def test_one_that_clients_would_refuse_for_its_dates(self) -> None:
        tls = self.make()
        for year, text in ((2025, "has expired at 2026-01-01"), (2027, "not valid before 2027")):
            self.files.write(Pair("dated", year=year))
            self.assert_kept(tls, text)

    def test_a_good_one_after_a_bad_one(self) -> None:
        tls = self.make()
        self.files.replace(self.files.cert, b"")
        self.assertFalse(tls.reload())
        self.files.write(Pair("second", year=2026))
        self.assertTrue(tls.reload())
        self.assertEqual(Client(tls).name, "second")


class PollTests(TlsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.tls = self.make()
        self.tls.start()

    def look(self, times: int = 2) -> list[str]:
        """What the log says while the files are looked at."""
        with capturedLogs() as events:
            self.clock.pump([POLL_SECONDS] * times)
        return [formatEvent(event) for event in events]

    @property
    def name(self) -> str:
        return Client(self.tls).name

    def test_a_change_is_seen(self) -> None:
        self.files.write(Pair("second"))
        self.assertEqual(len(self.look()), 1)
        self.assertEqual(self.name, "second")

    def test_unchanged_files_are_not_read(self) -> None:
        self.assertEqual(self.look(20), [])
        # What is in them now would be a fault, but nothing says that it is new.
        status = self.files.cert.stat()
        self.files.cert.write_bytes(b"x" * status.st_size)
        os.utime(self.files.cert, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertEqual(self.look(20), [])

    def test_files_in_the_middle_of_a_change_are_left_alone(self) -> None:
        pair = Pair("second")
        self.files.replace(self.files.cert, pair.cert_pem[:100])
        self.assertEqual(self.look(1), [])
        self.files.replace(self.files.cert, pair.cert_pem)
        self.assertEqual(self.look(1), [])
        self.files.replace(self.files.key, pair.key_pem)
        self.assertEqual(self.look(1), [])
        self.assertEqual(self.name, "first")
        self.assertEqual(len(self.look(1)), 1)
        self.assertEqual(self.name, "second")

    def test_a_bad_certificate_is_complained_about_once(self) -> None:
        self.files.replace(self.files.cert, b"nonsense")
        lines = self.look(20)
        self.assertEqual(len(lines), 1)
        self.assertIn("no certificate in PEM", lines[0])
        self.assertEqual(self.name, "first")

    def test_a_file_replaced_by_another_of_the_same_time(self) -> None:
        """As a link in a folder of certificates does: time and size may be the same."""
        pair = Pair("second")
        both = pair.cert_pem + pair.key_pem
        other = self.files.cert.with_name("other.pem")
        for file in (self.files.cert, self.files.key):
            status = file.stat()
            other.write_bytes(both)
            os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
            other.replace(file)
        self.assertEqual(len(self.look()), 1)
        self.assertEqual(self.name, "second")

    def test_a_reload_that_was_asked_for_is_not_repeated(self) -> None:
        self.files.write(Pair("second"))
        self.assertTrue(self.tls.reload())
        self.assertEqual(self.look(20), [])

    def test_a_file_that_comes_back(self) -> None:
        content = self.files.key.read_bytes()
        self.files.key.unlink()
        self.assertEqual(len(self.look(20)), 1)
        self.files.replace(self.files.key, content)
        self.assertEqual(len(self.look(20)), 1)
        self.assertEqual(self.name, "first")

    def test_stopped(self) -> None:
        self.tls.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.files.write(Pair("second"))
        self.assertEqual(self.look(20), [])
        self.assertEqual(self.name, "first")
        self.tls.stop()

    def test_a_poll_that_fails_says_so(self) -> None:
        """Else certificates would expire in silence."""

        def fail() -> bool:
            raise RuntimeError("no memory")

        self.patch(self.tls, "reload", fail)
        self.files.write(Pair("second"))
        self.assertEqual(self.look(), ["TLS certificates are looked at no more"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.name, "first")
