from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.frames import ErrorCode, Http2Error, Setting, pack_settings, parse_settings


class SettingsTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        settings = [(Setting.HEADER_TABLE_SIZE, 0), (Setting.INITIAL_WINDOW_SIZE, 2**31 - 1)]
        self.assertEqual(parse_settings(pack_settings(settings)[9:]), dict(settings))

    def test_unknown_ones_are_kept(self) -> None:
        self.assertEqual(parse_settings(bytes.fromhex("00ff00000001")), {255: 1})

    def test_the_last_value_counts(self) -> None:
        settings = [(Setting.INITIAL_WINDOW_SIZE, value) for value in range(100)]
        self.assertEqual(parse_settings(pack_settings(settings)[9:]), {4: 99})

    def test_too_many(self) -> None:
        payload = pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1)] * 101)[9:]
        error = self.assertRaises(Http2Error, parse_settings, payload)
        self.assertEqual(error.code, ErrorCode.ENHANCE_YOUR_CALM)

    def test_values_that_are_not_allowed(self) -> None:
        for setting, value, code in (
            (Setting.ENABLE_PUSH, 2, ErrorCode.PROTOCOL_ERROR),
            (Setting.INITIAL_WINDOW_SIZE, 2**31, ErrorCode.FLOW_CONTROL_ERROR),
            (Setting.MAX_FRAME_SIZE, 16_383, ErrorCode.PROTOCOL_ERROR),
            (Setting.MAX_FRAME_SIZE, 2**24, ErrorCode.PROTOCOL_ERROR),
        ):
            payload = pack_settings([(setting, value)])[9:]
            self.assertEqual(self.assertRaises(Http2Error, parse_settings, payload).code, code)

    def test_no_whole_number_of_settings(self) -> None:
        error = self.assertRaises(Http2Error, parse_settings, bytes(7))
        self.assertEqual(error.code, ErrorCode.FRAME_SIZE_ERROR)
