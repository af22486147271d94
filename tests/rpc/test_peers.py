from twisted.trial.unittest import SynchronousTestCase

from gnetway.rpc.peers import PeerPlace, PeerPlaces


class PeerPlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.shares = PeerPlaces(4, 3)
        self.gone: list[PeerPlace] = []

    def take(self, host: str, connection: str | None = None) -> PeerPlace:
        place = self.shares.take(host, connection)
        assert place is not None
        place.give_way = lambda: self.gone.append(place)
        return place

    def test_of_one_peer(self) -> None:
        first = self.take("10.0.0.1")
        self.take("10.0.0.1")
        self.take("10.0.0.1")
        self.assertIsNone(self.shares.take("10.0.0.1"))
        self.take("10.0.0.2")
        self.shares.leave(first)
        self.take("10.0.0.1")
        self.assertEqual(self.gone, [])

    def test_the_peer_with_most_gives_its_newest(self) -> None:
        places = [self.take("10.0.0.1") for _ in range(3)]
        self.take("10.0.0.2")
        self.take("10.0.0.3")
        self.assertEqual(self.gone, [places[2]])
        self.assertIsNone(self.shares.take("10.0.0.3"))
        self.take("10.0.0.4")
        self.assertEqual(self.gone, [places[2], places[1]])
        # One each: a fifth peer has no claim.
        self.assertIsNone(self.shares.take("10.0.0.5"))

    def test_a_connection_with_most_gives_to_another_of_its_peer(self) -> None:
        """Two nodes may be behind one address: neither keeps the other out."""
        places = [self.take("10.0.0.1", "first") for _ in range(3)]
        self.assertIsNone(self.shares.take("10.0.0.1", "first"))
        self.take("10.0.0.1", "second")
        self.assertEqual(self.gone, [places[2]])
        self.assertIsNone(self.shares.take("10.0.0.1", "second"))
        self.take("10.0.0.2")
        self.assertEqual(self.gone, [places[2]])

    def test_what_was_given_away_is_given_back_once(self) -> None:
        places = [self.take("10.0.0.1") for _ in range(3)]
        self.take("10.0.0.2")
        self.take("10.0.0.3")
        self.shares.leave(places[2])
        self.shares.leave(places[2])
        self.assertIsNone(self.shares.take("10.0.0.2"))

    def test_a_network_is_one_peer(self) -> None:
        for number in range(3):
            self.take(f"fd00::{number}")
        self.assertIsNone(self.shares.take("fd00::99"))
        self.take("fd00:0:0:1::1")
