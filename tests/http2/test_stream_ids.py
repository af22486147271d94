from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.stream import StreamIds


class StreamIdsTests(SynchronousTestCase):
    def test_the_last_ones_are_remembered(self) -> None:
        ids = StreamIds()
        for stream_id in range(1, 200_000, 2):
            ids.note_reset(stream_id)
        self.assertTrue(ids.was_reset(199_999))
        self.assertTrue(ids.was_reset(199_999 - 2 * 16_000))
        self.assertFalse(ids.was_reset(1))
        self.assertFalse(ids.was_reset(2))
