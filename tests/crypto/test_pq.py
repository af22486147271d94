"""Making pq."""

from gmpy2 import is_prime
from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import PQ, make_pq
from tests.crypto.chance import SeededBytes, zeros


class PQTests(SynchronousTestCase):
    @given(seed=integers(0, 1 << 32))
    def test_what_clients_expect(self, seed: int) -> None:
        """Two different odd primes, the smaller first, their product below 2^63."""
        pq, p, q = make_pq(SeededBytes(seed))
        self.assertEqual(pq, p * q)
        self.assertLess(p, q)
        self.assertLess(pq, 1 << 63)
        self.assertTrue(is_prime(p) and is_prime(q))
        self.assertGreater(p, 1 << 30)

    def test_differs_from_one_to_the_next(self) -> None:
        chance = SeededBytes()
        self.assertEqual(len({make_pq(chance).pq for _ in range(20)}), 20)

    def test_equal_draws(self) -> None:
        """The same bytes twice still make two primes: a square would have one factor only."""
        made = make_pq(zeros)
        self.assertEqual(made, ((2**30 + 3) * (2**30 + 7), 2**30 + 3, 2**30 + 7))

    def test_largest_draw(self) -> None:
        """All bits set: both primes just above 2^31, the product still below 2^63."""
        made = make_pq(lambda count: b"\xff" * count)
        self.assertEqual((made.p, made.q), (2**31 + 11, 2**31 + 45))
        self.assertLess(made.pq, 1 << 63)

    def test_bytes_are_minimal_and_big_endian(self) -> None:
        """The example of the documents: 1724114033281923457 = 1229739323 * 1402015859."""
        made = PQ(1724114033281923457, 1229739323, 1402015859)
        self.assertEqual(made.p * made.q, made.pq)
        self.assertEqual(made.pq_bytes.hex(), "17ed48941a08f981")
        self.assertEqual(made.p_bytes.hex(), "494c553b")
        self.assertEqual(made.q_bytes.hex(), "53911073")

    def test_bytes_have_no_leading_zero(self) -> None:
        made = PQ(0x0123, 3, 97)
        self.assertEqual((made.pq_bytes, made.p_bytes), (b"\x01\x23", b"\x03"))
