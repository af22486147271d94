from twisted.trial.unittest import SynchronousTestCase

import twisted
from gnetway.known_twisted import is_known


class VersionTests(SynchronousTestCase):
    def test_this_one_is(self) -> None:
        """Or the gateway has become slower: compare what the two modules touch, and say so."""
        self.assertTrue(is_known())

    def test_others(self) -> None:
        for version, known in (("24.7.0", True), ("26.10.1rc1", True), ("24.3.0", False)):
            self.patch(twisted, "__version__", version)
            self.assertEqual(is_known(), known, version)
        self.patch(twisted, "__version__", "26.11.0")
        self.assertFalse(is_known())
