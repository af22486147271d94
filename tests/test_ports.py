"""Ports that tests get: free, in pairs, and of no other process's."""

import socket
from contextlib import closing
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests import ports
from tests.ports import PORTS, free_port

#: So few that all of them are given soon; an odd number, from an odd one on.
FEW = range(10_001, 10_026)


def given(worker: int, workers: int, *taken: int) -> set[int]:
    """Return what one of several processes gets of the few, where ``taken`` are not free."""
    process = {"PYTEST_XDIST_WORKER": f"gw{worker}", "PYTEST_XDIST_WORKER_COUNT": str(workers)}
    with (
        patch.dict("os.environ", process),
        patch.object(ports, "_is_free", lambda port: port not in taken),
    ):
        return {free_port(FEW) for _ in FEW}


class PortsTests(SynchronousTestCase):
    def test_each_once_with_the_one_above(self) -> None:
        got = [free_port() for _ in range(50)]
        pairs = {*got, *(port + 1 for port in got)}
        self.assertEqual(len(pairs), 100)
        self.assertLessEqual(pairs, {*PORTS})

    def test_processes_of_one_run_share_none(self) -> None:
        for workers in (1, 2, 3, 4):
            shares = [given(worker, workers) for worker in range(workers)]
            pairs = [port + more for share in shares for port in share for more in (0, 1)]
            self.assertEqual(len({*pairs}), len(pairs), workers)
            self.assertLessEqual({*pairs}, {*FEW})
            self.assertEqual({len(share) for share in shares}, {12 // workers})

    def test_one_in_the_place_of_a_crashed_one_has_some(self) -> None:
        self.assertEqual(given(6, 4), given(2, 4))

    def test_none_that_is_taken(self) -> None:
        for host in ("127.0.0.1", "0.0.0.0"):
            with closing(socket.create_server((host, 0))) as server:
                taken = server.getsockname()[1]
                self.assertFalse(ports._is_free(taken))

    def test_none_whose_neighbour_is_taken(self) -> None:
        self.assertEqual(given(0, 1, FEW[3], FEW[4]), {*FEW[:-1:2]} - {FEW[2], FEW[4]})
