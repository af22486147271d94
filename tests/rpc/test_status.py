from hypothesis import given
from hypothesis.strategies import integers, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import GatewayError
from gnetway.rpc.status import (
    RpcStatus,
    StatusCode,
    is_key_unregistered,
    redirect_target,
)


class RpcStatusTests(SynchronousTestCase):
    def test_says_number_name_and_text(self) -> None:
        self.assertEqual(str(RpcStatus(14, "gone")), "14 UNAVAILABLE: gone")

    def test_a_number_nobody_knows_is_kept(self) -> None:
        status = RpcStatus(299, "odd")
        self.assertEqual((status.code, status.details), (299, "odd"))
        self.assertEqual(str(status), "299 status: odd")
        self.assertIsInstance(status, GatewayError)


class KeyUnregisteredTests(SynchronousTestCase):
    def test_by_its_own_number_and_as_unknown(self) -> None:
        for code in (401, StatusCode.UNKNOWN):
            self.assertTrue(is_key_unregistered(RpcStatus(code, "AUTH_KEY_UNREGISTERED")))

    def test_wrapped_text(self) -> None:
        text_ = "rpc error: code = Code(401) desc = AUTH_KEY_UNREGISTERED"
        self.assertTrue(is_key_unregistered(RpcStatus(StatusCode.UNKNOWN, text_)))

    def test_a_number_is_no_proof(self) -> None:
        self.assertFalse(is_key_unregistered(RpcStatus(401, "SESSION_REVOKED")))

    def test_a_node_that_is_down_proves_nothing(self) -> None:
        for code in set(StatusCode) - {StatusCode.UNKNOWN, StatusCode.KEY_UNREGISTERED}:
            self.assertFalse(is_key_unregistered(RpcStatus(code, "AUTH_KEY_UNREGISTERED")))


class RedirectTests(SynchronousTestCase):
    def test_by_its_own_number_and_as_unknown(self) -> None:
        for code in (700, StatusCode.UNKNOWN):
            status = RpcStatus(code, "REDIRECT_TO_10.0.0.2:20120")
            self.assertEqual(redirect_target(status), "10.0.0.2:20120")

    def test_names_and_ipv6(self) -> None:
        for peer in ("session-1.cluster.local:20120", "[fd00::2]:20120"):
            self.assertEqual(redirect_target(RpcStatus(700, f"REDIRECT_TO_{peer}")), peer)

    def test_wrapped_text(self) -> None:
        status = RpcStatus(2, "rpc error: code = Code(700) desc = REDIRECT_TO_node:1")
        self.assertEqual(redirect_target(status), "node:1")

    def test_other_statuses_redirect_nowhere(self) -> None:
        for code in set(StatusCode) - {StatusCode.UNKNOWN, StatusCode.REDIRECT}:
            self.assertIsNone(redirect_target(RpcStatus(code, "REDIRECT_TO_node:1")))

    def test_what_is_no_address(self) -> None:
        for details in (
            "",
            "AUTH_KEY_UNREGISTERED",
            "REDIRECT_TO_",
            "REDIRECT_TO_node",
            "REDIRECT_TO_node:",
            "REDIRECT_TO_node:0",
            "REDIRECT_TO_node:65536",
            "REDIRECT_TO_node:123456",
            "REDIRECT_TO_node:1x",
            "REDIRECT_TO_:1",
            "REDIRECT_TO_a b:1",
            "REDIRECT_TO_fd00::2:1",
        ):
            self.assertIsNone(redirect_target(RpcStatus(700, details)), details)

    @given(details=text(max_size=40), port=integers(-5, 70_000))
    def test_whatever_comes_is_judged(self, details: str, port: int) -> None:
        """Nothing that a service may send raises; what is found is an address."""
        found = redirect_target(RpcStatus(700, f"{details} REDIRECT_TO_node:{port}"))
        self.assertEqual(found is not None and found.endswith(f":{port}"), 0 < port < 65536)
