from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.connection import ResetStreams


class ResetStreamsTests(SynchronousTestCase):
    def test_the_last_ones_are_remembered(self) -> None:
        resets = ResetStreams()
        for stream_id in range(1, 200_000, 2):
            resets.add(stream_id)
        self.assertIn(199_999, resets)
        self.assertIn(199_999 - 2 * 16_000, resets)
        self.assertNotIn(1, resets)
        self.assertNotIn(2, resets)
