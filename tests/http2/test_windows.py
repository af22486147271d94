from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.frames import raised


class WindowTests(SynchronousTestCase):
    def test_raised(self) -> None:
        self.assertEqual(raised(-5, 10), 5)
        self.assertEqual(raised(0, 2**31 - 1), 2**31 - 1)

    def test_over_31_bits(self) -> None:
        self.assertRaises(OverflowError, raised, 1, 2**31 - 1)
