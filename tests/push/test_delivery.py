from collections.abc import Callable
from struct import pack

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import MAX_PADDING_BYTES, check_message, pack_message
from gnetway.push.server import Delivery, MalformedPush, check_push
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import RpcErrorObject, RpcResult
from tests.fakes import FakeTarget

KEY_ID, SESSION_ID = -5, 1 << 40
BODY = b"\x73\xf1\xf8\xdc" + bytes(12)
PLAINTEXT = pack_message(-1, SESSION_ID, 9, 1, BODY)


def push_of(payload: bytes = PLAINTEXT, session_id: int = SESSION_ID) -> tuple[int, int, bytes]:
    return KEY_ID, session_id, payload


class BrokenTarget(FakeTarget):
    def push(self, auth_key_id: int, session_id: int, plaintext: bytes) -> bool:
        raise ValueError("a fault of ours")


class DeliveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.target = FakeTarget()
        self.delivery = Delivery()
        self.delivery.target = self.target

    def counted(self) -> dict[str, int]:
        return self.delivery.counts.as_dict()

    def test_delivered(self) -> None:
        self.assertTrue(self.delivery.push(*push_of()))
        self.assertEqual(self.target.pushed, [(KEY_ID, SESSION_ID, PLAINTEXT)])
        self.assertEqual(self.counted(), {"delivered": 1})

    def test_nobody_holds_it(self) -> None:
        self.target.reachable = False
        self.assertFalse(self.delivery.push(*push_of()))
        self.assertEqual(self.counted(), {"no_session": 1})

    def test_those_who_hold_it_do_not_take_it(self) -> None:
        self.target.reachable, self.target.held = False, True
        self.assertFalse(self.delivery.push(*push_of()))
        self.assertEqual(self.counted(), {"not_taken": 1})

    def test_news_of_the_key(self) -> None:
        destroyed = pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)
        doubtful = RpcResult(7, RpcErrorObject(401, "AUTH_KEY_UNREGISTERED").pack()).pack()
        for body in (destroyed, doubtful, BODY):
            payload = pack_message(-1, SESSION_ID, 9, 1, body)
            self.assertTrue(self.delivery.push(*push_of(payload)))
        self.assertEqual((self.target.forgotten, self.target.doubted), ([KEY_ID], [KEY_ID]))

    def test_before_clients_can_come(self) -> None:
        delivery = Delivery()
        self.assertFalse(delivery.push(*push_of()))
        self.assertEqual(delivery.counts.as_dict(), {"no_session": 1})

    def test_malformed(self) -> None:
        self.assertRaises(MalformedPush, self.delivery.push, *push_of(PLAINTEXT[:31]))
        self.assertEqual(self.target.pushed, [])
        self.assertEqual(self.counted(), {"malformed": 1})

    def test_fault_of_ours(self) -> None:
        """It is logged, and the next push goes its way."""
        self.delivery.target = BrokenTarget()
        self.assertFalse(self.delivery.push(*push_of()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.counted(), {"failed": 1})


class CheckTests(SynchronousTestCase):
    def refused(self, payload: bytes, text: str) -> None:
        error = self.assertRaises(MalformedPush, check_push, SESSION_ID, payload)
        self.assertEqual(str(error), text)

    def test_whole(self) -> None:
        check_push(SESSION_ID, PLAINTEXT)

    def test_without_a_body(self) -> None:
        check_push(SESSION_ID, pack_message(0, SESSION_ID, 9, 1, b""))

    def test_too_short(self) -> None:
        self.refused(b"", "a payload of 0 bytes")
        self.refused(PLAINTEXT[:31], "a payload of 31 bytes")

    def test_of_another_session(self) -> None:
        self.refused(
            pack_message(0, SESSION_ID + 1, 9, 1, BODY), "the payload is that of another session"
        )

    def test_cut_off(self) -> None:
        self.refused(PLAINTEXT[:-4], "44 bytes, whose body announces 16")

    def test_lengths_that_cannot_be(self) -> None:
        for length in (-4, -(1 << 31), 1, 2, (1 << 31) - 1):
            payload = PLAINTEXT[:28] + pack("<i", length) + PLAINTEXT[32:]
            self.refused(payload, f"48 bytes, whose body announces {length}")

    def test_padding_that_leaves_room_for_ours(self) -> None:
        room = MAX_PADDING_BYTES - 27
        check_push(SESSION_ID, PLAINTEXT + bytes(room))
        self.refused(PLAINTEXT + bytes(room + 1), f"{48 + room + 1} bytes, whose body announces 16")

    @given(body=binary(max_size=40).map(lambda raw: raw + bytes(-len(raw) % 4)))
    def test_what_passes_is_a_message_to_the_client(self, body: bytes) -> None:
        """With our padding behind it, the check that a client makes passes."""
        plaintext = pack_message(3, SESSION_ID, 9, 1, body)
        check_push(SESSION_ID, plaintext)
        check_message(plaintext + bytes(12 + (4 - len(plaintext)) % 16))

    @given(payload=binary(max_size=80), session_id=integers(-(1 << 63), (1 << 63) - 1))
    def test_anything(self, payload: bytes, session_id: int) -> None:
        self.never_fails_otherwise(lambda: check_push(session_id, payload))

    def never_fails_otherwise(self, check: Callable[[], int]) -> None:
        try:
            check()
        except MalformedPush as error:
            self.assertTrue(str(error))
