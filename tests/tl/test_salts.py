"""The list of future salts, which is bare and bounded."""

from hypothesis import given
from hypothesis.strategies import lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.tl.primitives import TooManyItems
from gnetway.tl.service_messages import MAX_SALTS, WRONG_SALT, BadServerSalt, FutureSalts
from tests.tl.samples import accepted_cuts, int32s, int64s, known


class FutureSaltsTests(SynchronousTestCase):
    @given(
        req_msg_id=int64s(),
        now=int32s(),
        salts=lists(tuples(int32s(), int32s(), int64s()), max_size=MAX_SALTS),
    )
    def test_round_trip(self, req_msg_id: int, now: int, salts: list[tuple[int, int, int]]) -> None:
        """What was written is read; nothing shorter is."""
        packed = FutureSalts(req_msg_id, now, salts).pack()
        self.assertEqual(len(packed), 20 + 16 * len(salts))
        self.assertEqual(FutureSalts.parse(packed), FutureSalts(req_msg_id, now, salts))
        self.assertEqual(accepted_cuts(FutureSalts.parse, packed), [])

    def test_too_many(self) -> None:
        """64 salts at most."""
        packed = FutureSalts(1, 2, [(3, 4, 5)] * (MAX_SALTS + 1)).pack()
        self.assertRaises(TooManyItems, FutureSalts.parse, packed)


class BadServerSaltTests(SynchronousTestCase):
    def test_error_code(self) -> None:
        """The code for a wrong salt is the one that clients look for."""
        self.assertEqual(BadServerSalt.parse(known("bad_server_salt")).error_code, WRONG_SALT)
