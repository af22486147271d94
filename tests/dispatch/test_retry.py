"""The retry table, row by row: every status, for every method, and for the end of a stream."""

from typing import Final

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.lone_request import LoneRequest
from gnetway.dispatch.request import Request
from gnetway.dispatch.retry import (
    MAX_SENDS,
    Decision,
    Fault,
    Next,
    culprit,
    decide,
    decide_stream,
    may_go_again,
)
from gnetway.dispatch.shared import DispatchSettings, Shared
from gnetway.rpc.status import Method, RpcStatus
from tests.strategies import SeededBytes

REFUSED: Final = Decision(Fault.NOBODY, Next.FAIL)
BROKEN: Final = Decision(Fault.CONNECTION, Next.AGAIN)
SLOW: Final = Decision(Fault.SLOW_NODE, Next.AGAIN)
NODE: Final = Decision(Fault.NODE, Next.AGAIN)
MESSAGE: Final = Decision(Fault.MESSAGE, Next.FAIL)
KEY: Final = Decision(Fault.KEY, Next.FAIL)
REDIRECT: Final = Decision(Fault.NOBODY, Next.FOLLOW)

#: What each number means for one request, and for all that a stream left unanswered when it ended
#: with it.
TABLE: Final = {
    0: (REFUSED, BROKEN),
    1: (BROKEN, BROKEN),
    2: (REFUSED, BROKEN),
    3: (MESSAGE, MESSAGE),
    4: (SLOW, SLOW),
    5: (REFUSED, BROKEN),
    6: (REFUSED, BROKEN),
    7: (NODE, NODE),
    8: (MESSAGE, MESSAGE),
    9: (REFUSED, BROKEN),
    10: (REFUSED, BROKEN),
    11: (MESSAGE, MESSAGE),
    12: (NODE, NODE),
    13: (MESSAGE, BROKEN),
    14: (BROKEN, BROKEN),
    15: (REFUSED, BROKEN),
    16: (NODE, NODE),
    401: (REFUSED, BROKEN),
    700: (REFUSED, BROKEN),
}

#: Numbers with texts that say more than the number.
TEXTS: Final = [
    (401, "AUTH_KEY_UNREGISTERED", KEY),
    (2, "rpc error: code = Code(401) desc = AUTH_KEY_UNREGISTERED", KEY),
    (700, "REDIRECT_TO_10.0.0.2:20120", REDIRECT),
    (2, "rpc error: code = Code(700) desc = REDIRECT_TO_[2001:db8::1]:20120", REDIRECT),
    # A text alone does not decide where the number says something else.
    (14, "AUTH_KEY_UNREGISTERED", BROKEN),
    (16, "AUTH_KEY_UNREGISTERED", NODE),
    (14, "REDIRECT_TO_10.0.0.2:20120", BROKEN),
    (700, "AUTH_KEY_UNREGISTERED", REFUSED),
    (401, "REDIRECT_TO_10.0.0.2:20120", REFUSED),
    (700, "REDIRECT_TO_nowhere", REFUSED),
    (700, "REDIRECT_TO_10.0.0.2:0", REFUSED),
    (700, "REDIRECT_TO_10.0.0.2:65536", REFUSED),
    (2, "overloaded", REFUSED),
]

#: What gRPC's implementations say of a message that they cannot read: the first two are grpc-go's
#: for calls and streams, the others those of C++ and Python.
UNREADABLE: Final = [
    "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data",
    "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data",
    "Error parsing request",
    "Exception deserializing request!",
]

#: What they say of a stream that somebody has reset, or of their own faults.
RESET: Final = [
    "stream terminated by RST_STREAM with error code: INTERNAL_ERROR",
    "Received RST_STREAM with error code 2",
    "RST_STREAM closed stream. HTTP/2 error code: INTERNAL_ERROR",
    "Internal error from Core",
    "",
]


def request_of(method: Method, size: int = 1, sends: int = 0) -> Request:
    shared = Shared(DispatchSettings(""), SeededBytes(1))
    request = Request(LoneRequest(shared, method, 0, b"", None, False), method, 0, bytes(size))
    request.sends = sends
    return request


class TableTests(SynchronousTestCase):
    def test_every_status_of_every_method(self) -> None:
        """Only one row depends on the method: old services lack the one for HTTP."""
        for method in Method:
            for number, (expected, _) in TABLE.items():
                if (number, method) == (12, Method.SEND_HTTP_DATA):
                    expected = MESSAGE
                got = decide(RpcStatus(number, "some text"), method)
                self.assertEqual(got, expected, (method, number))

    def test_texts(self) -> None:
        for method in Method:
            for number, text, expected in TEXTS:
                got = decide(RpcStatus(number, text), method)
                self.assertEqual(got, expected, (method, number, text))

    @given(number=integers(17, 10_000))
    def test_unheard_of(self, number: int) -> None:
        """A number of which nobody knows anything refuses a request, and breaks a stream."""
        status = RpcStatus(number, "some text")
        self.assertEqual(decide(status, Method.SEND_DATA), REFUSED)
        self.assertEqual(decide_stream(status), BROKEN)


class StreamTests(SynchronousTestCase):
    def test_every_status(self) -> None:
        for number, (_, expected) in TABLE.items():
            self.assertEqual(decide_stream(RpcStatus(number, "some text")), expected, number)

    def test_redirects_and_keys(self) -> None:
        """Are about one request, and no way to end a stream: one that does it has broken."""
        for number, text, expected in TEXTS:
            if expected in {KEY, REDIRECT}:
                self.assertEqual(decide_stream(RpcStatus(number, text)), BROKEN, text)

    def test_internal(self) -> None:
        """A message that cannot be read is its own fault; a stream that was reset is not."""
        for text in UNREADABLE:
            self.assertEqual(decide_stream(RpcStatus(13, text)), MESSAGE, text)
        for text in RESET:
            self.assertEqual(decide_stream(RpcStatus(13, text)), BROKEN, text)


class CulpritTests(SynchronousTestCase):
    @given(number=sampled_from([8, 11]), sizes=lists(integers(0, 9), min_size=1))
    def test_the_largest(self, number: int, sizes: list[int]) -> None:
        """Over a limit is the largest; of several as large the oldest came there first."""
        requests = [request_of(Method.SEND_DATA, size) for size in sizes]
        found = culprit(RpcStatus(number, "larger than max"), requests)
        self.assertIs(found, requests[sizes.index(max(sizes))])

    @given(number=sampled_from([3, 13]), sizes=lists(integers(0, 9), min_size=1))
    def test_the_oldest(self, number: int, sizes: list[int]) -> None:
        requests = [request_of(Method.SEND_DATA, size) for size in sizes]
        self.assertIs(culprit(RpcStatus(number, "Error parsing request"), requests), requests[0])

    def test_nobody(self) -> None:
        self.assertIsNone(culprit(RpcStatus(8), []))
        self.assertIsNone(culprit(RpcStatus(13), []))


class AgainTests(SynchronousTestCase):
    def test_data_twice(self) -> None:
        """What changes nothing when it comes twice may go as often as is needed."""
        self.assertEqual(MAX_SENDS, 2)
        for method in Method:
            allowed = [may_go_again(request_of(method, sends=sends)) for sends in range(4)]
            limited = method in {Method.SEND_DATA, Method.SEND_HTTP_DATA}
            expected = [True, True, False, False] if limited else [True] * 4
            self.assertEqual(allowed, expected, method)
