"""What a live etcd seldom does: answers that end a watch, hosts that are not there."""

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from gnetway.discovery.etcd_api import EtcdError, LeaseLost
from gnetway.discovery.etcd_connection import (
    EtcdConnection,
    EtcdSettings,
    _raise_if_cancelled,
    _range_of,
)


class CancelledWatchTests(SynchronousTestCase):
    def ended(self, compact_revision: int = 0, cancel_reason: str = "") -> str:
        response = SimpleNamespace(
            canceled=True, compact_revision=compact_revision, cancel_reason=cancel_reason
        )
        return str(self.assertRaises(EtcdError, _raise_if_cancelled, response))

    def test_compacted(self) -> None:
        self.assertIn("revision 42", self.ended(compact_revision=42))

    def test_reason(self) -> None:
        self.assertIn("no leader", self.ended(cancel_reason="etcdserver: no leader"))
        self.assertIn("no reason given", self.ended())

    def test_going_on(self) -> None:
        _raise_if_cancelled(SimpleNamespace(canceled=False))


class UnusableTests(SynchronousTestCase):
    """Each fault is an EtcdError, at once or within the time for a call. Port 1 is closed."""

    def test_refused(self) -> None:
        connection = EtcdConnection("127.0.0.1:1", EtcdSettings(("127.0.0.1:1",)))
        connection.open()
        self.addCleanup(connection.close)
        error = self.assertRaises(EtcdError, connection.read, "p")
        self.assertIn("127.0.0.1:1: UNAVAILABLE", str(error))
        self.assertNotIsInstance(error, LeaseLost)
        self.assertRaises(EtcdError, connection.keep_alive, 1)
        self.assertRaises(EtcdError, connection.watch, "p", 1, lambda changes: None)

    def test_password_at_a_host_that_is_not_there(self) -> None:
        settings = EtcdSettings(("127.0.0.1:1",), user="me", password="hidden")
        connection = EtcdConnection("127.0.0.1:1", settings)
        self.addCleanup(connection.close)
        error = self.assertRaises(EtcdError, connection.open)
        self.assertNotIn("hidden", str(error))

    def test_closed(self) -> None:
        connection = EtcdConnection("127.0.0.1:1", EtcdSettings(("127.0.0.1:1",)))
        connection.open()
        connection.close()
        self.assertRaises(EtcdError, connection.read, "p")
        self.assertRaises(EtcdError, connection.watch, "p", 1, lambda changes: None)

    def test_closed_while_opening(self) -> None:
        """The channel of a client that was given up does not stay open."""
        connection = EtcdConnection("127.0.0.1:1", EtcdSettings(("127.0.0.1:1",)))
        connection.close()
        connection.open()
        self.assertRaises(EtcdError, connection.read, "p")

    def test_certificate_files(self) -> None:
        """A file that is missing, and a certificate without its key, say so."""
        for settings in (
            EtcdSettings(("127.0.0.1:1",), ca_file="/nowhere/ca.pem"),
            EtcdSettings(("127.0.0.1:1",), ca_file=__file__, cert_file=__file__),
        ):
            connection = EtcdConnection("127.0.0.1:1", settings)
            self.addCleanup(connection.close)
            self.assertRaises(EtcdError, connection.open)


class RangeTests(SynchronousTestCase):
    def test_prefix(self) -> None:
        """Keys below the prefix, and none of another prefix that begins alike."""
        bounds = _range_of("interface.session")
        for key, inside in (
            (b"interface.session/123", True),
            (b"interface.session/", True),
            (b"interface.session", False),
            (b"interface.session2/1", False),
            (b"interface.sessions/1", False),
            (b"interface.session.x/1", False),
        ):
            self.assertEqual(bounds["key"] <= key < bounds["range_end"], inside, key)
