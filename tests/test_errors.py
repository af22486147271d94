from enum import StrEnum
from http import HTTPStatus
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import MAX_RPC_ERROR_TEXT_BYTES, RpcError


class Name(StrEnum):
    PEER_INVALID = "PEER_ID_INVALID"


class Shouting(str):
    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        raise RuntimeError("no bytes of me")

    def __str__(self) -> str:
        return "something else"


class RpcErrorTests(SynchronousTestCase):
    def assert_refused(
        self, kind: type[Exception], argument: str, code: object, text: object
    ) -> None:
        error = self.assertRaises(kind, RpcError, cast(int, code), cast(str, text))
        self.assertTrue(str(error).startswith(f"{argument} of an RpcError "), str(error))

    def test_code_and_text(self) -> None:
        error = RpcError(420, "FLOOD_WAIT_3")
        self.assertEqual((error.code, error.text), (420, "FLOOD_WAIT_3"))
        self.assertEqual(str(error), "420 FLOOD_WAIT_3")

    def test_what_fits(self) -> None:
        for code in (-(2**31), -1, 1, 2**31 - 1):
            self.assertEqual(RpcError(code, "X").code, code)
        longest = "ł" * (MAX_RPC_ERROR_TEXT_BYTES // 2)
        self.assertEqual(RpcError(400, longest).text, longest)

    def test_arguments_the_wrong_way_round(self) -> None:
        self.assert_refused(TypeError, "code", "oops", 400)

    def test_code_that_is_no_int(self) -> None:
        for code in (None, "400", 400.0, True, b"400"):
            self.assert_refused(TypeError, "code", code, "OOPS")

    def test_code_that_does_not_fit(self) -> None:
        for code in (0, 2**31, -(2**31) - 1, 10**4000, 10**5000):
            self.assert_refused(ValueError, "code", code, "OOPS")

    def test_text_that_is_no_str(self) -> None:
        for text in (None, b"OOPS", 400, ValueError("oops")):
            self.assert_refused(TypeError, "text", 400, text)

    def test_text_that_cannot_be_told(self) -> None:
        too_long = "ł" * (MAX_RPC_ERROR_TEXT_BYTES // 2) + "l"
        for text in ("", too_long, "\ud800"):
            self.assert_refused(ValueError, "text", 400, text)

    def test_members_of_enums_and_subclasses_become_plain(self) -> None:
        error = RpcError(HTTPStatus.BAD_REQUEST, Name.PEER_INVALID)
        self.assertEqual((error.code, error.text), (400, "PEER_ID_INVALID"))
        self.assertEqual((type(error.code), type(error.text)), (int, str))
        self.assertEqual(RpcError(400, Shouting("LOUD")).text, "LOUD")
