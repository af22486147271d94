"""Session.Announce: call, as older session services need it."""

from collections.abc import Mapping
from typing import ClassVar

from tests.live.cluster.cluster import ClusterTestCase
from tests.live.cluster.session_service import Told
from tests.live.cluster.talker import Talker
from tests.live.gateway import until


class UnaryAnnounceTests(ClusterTestCase):
    session: ClassVar[Mapping[str, object]] = {"Announce": "call"}

    def test_a_session_is_announced_by_a_call(self) -> None:
        self.start_cluster(3)
        talkers = self.talkers(10)
        until(lambda: all(len(talker.answered) > 5 for talker in talkers), "pongs")
        for talker in talkers:
            talker.stop()
        until(lambda: len(self.service.heard("close")) == 10, "sessions closed")
        self.assert_served(talkers)
        for talker in talkers:
            told = self.told_of(talker)
            methods = [one.method for one in told]
            self.assertEqual(methods, ["create", *["data"] * len(talker.sent), "close"])
            self.assertEqual({one.conn_type for one in told}, {0})

    def test_again_after_a_node_has_died(self) -> None:
        """The next node hears of the session before its data, and so does the first one later."""
        nodes = self.start_cluster(2)
        talkers = self.talkers(10)
        until(lambda: all(len(talker.answered) > 5 for talker in talkers), "pongs")
        nodes[0].kill()
        died_at = len(self.service.told)
        until(lambda: len(self.service.told) > died_at + 100, "data elsewhere")
        nodes[0].start()
        back_at = len(self.service.told)
        until(lambda: nodes[0].address in self._nodes_since(back_at), "data at the first node")
        for talker in talkers:
            talker.stop()
        self.assert_served(talkers, most_doubles=4)

    def told_of(self, talker: Talker) -> list[Told]:
        return [one for one in list(self.service.told) if one.session == talker.name]

    def _nodes_since(self, position: int) -> set[str]:
        return {one.node for one in self.service.told[position:] if one.method == "data"}


class StreamAnnounceTests(UnaryAnnounceTests):
    by_stream = True
