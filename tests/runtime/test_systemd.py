"""What a service and systemd tell each other: by a socket of systemd's, here the test's."""

import os
import socket
import subprocess
import sys
import tempfile
from time import monotonic_ns

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.systemd import STATUS_SECONDS, Notifier, Passed, passed_descriptors

PID = 4711


class NotifierCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/notify"
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(self.systemd.close)
        self.clock = Clock()
        self.alive = True
        self.line = "serving 2 connections"

    def notifier(self, address: str = "", **environment: str) -> Notifier:
        if not address:
            address = self.path
            self.systemd.bind(address)
        self.environment = {"NOTIFY_SOCKET": address, "PATH": "/bin", **environment}
        return Notifier(self.clock, self.environment, PID, lambda: self.line, lambda: self.alive)

    def heard(self) -> list[str]:
        """Return the datagrams that have come."""
        datagrams = []
        while True:
            try:
                datagrams.append(self.systemd.recv(4096).decode())
            except BlockingIOError:
                return datagrams


class NotifyTests(NotifierCase):
    def test_a_life(self) -> None:
        notifier = self.notifier()
        main = f"MAINPID={os.getpid()}"
        notifier.start()
        self.assertEqual(self.heard(), [main, "STATUS=serving 2 connections"])
        notifier.ready()
        self.assertEqual(self.heard(), [f"READY=1\n{main}\nSTATUS=serving 2 connections"])
        self.line = "draining 2 connections"
        notifier.stopping(30)
        stopping = "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\nSTATUS=draining 2 connections"
        self.assertEqual(self.heard(), [stopping])
        self.line = "draining 1 connection"
        self.clock.advance(STATUS_SECONDS)
        self.assertEqual(self.heard(), ["STATUS=draining 1 connection"])
        notifier.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_status_is_sent_when_it_changes(self) -> None:
        notifier = self.notifier()
        notifier.start()
        self.heard()
        self.clock.advance(STATUS_SECONDS)
        self.assertEqual(self.heard(), [])

    def test_a_reload(self) -> None:
        notifier = self.notifier()
        before = monotonic_ns() // 1000
        notifier.reloading()
        (reloading,) = self.heard()
        first, second = reloading.split("\n")
        self.assertEqual(first, "RELOADING=1")
        self.assertGreaterEqual(int(second.removeprefix("MONOTONIC_USEC=")), before)
        notifier.ready()
        self.assertIn("READY=1", self.heard()[0])

    def test_no_reload_and_no_ready_once_it_stops(self) -> None:
        notifier = self.notifier()
        notifier.stopping(1)
        self.heard()
        notifier.reloading()
        notifier.ready()
        self.assertEqual(self.heard(), [])

    def test_an_abstract_socket(self) -> None:
        name = f"gnetway-test-{os.getpid()}"
        self.systemd.bind(f"\0{name}")
        self.notifier(f"@{name}").reloading()
        self.assertEqual(len(self.heard()), 1)

    def test_nobody_wants_to_hear(self) -> None:
        notifier = Notifier(self.clock, {}, PID, lambda: "", lambda: True)
        notifier.start()
        notifier.ready()
        notifier.stopping(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_socket_that_is_not_there(self) -> None:
        """One line in the log, and the service goes on."""
        notifier = self.notifier("/nowhere/notify")
        with capturedLogs() as captured:
            notifier.start()
            notifier.ready()
        self.assertEqual(len(captured), 1)

    def test_children_do_not_answer_in_its_name(self) -> None:
        self.notifier(WATCHDOG_USEC="2000000", WATCHDOG_PID=str(PID))
        self.assertEqual(self.environment, {"PATH": "/bin"})


class WatchdogTests(NotifierCase):
    def beats(self, seconds: int, **environment: str) -> int:
        notifier = self.notifier(**environment)
        notifier.start()
        self.clock.pump([0.5] * 2 * seconds)
        return sum("WATCHDOG=1" in datagram for datagram in self.heard())

    def test_twice_as_often_as_it_must(self) -> None:
        self.assertEqual(self.beats(8, WATCHDOG_USEC="4000000", WATCHDOG_PID=str(PID)), 1 + 4)

    def test_without_a_process_it_is_meant_too(self) -> None:
        self.assertEqual(self.beats(8, WATCHDOG_USEC="4000000"), 1 + 4)

    def test_another_process_is_watched(self) -> None:
        self.assertEqual(self.beats(8, WATCHDOG_USEC="4000000", WATCHDOG_PID="1"), 0)

    def test_what_is_no_number(self) -> None:
        self.assertEqual(self.beats(8, WATCHDOG_USEC="soon"), 0)

    def test_a_service_that_does_not_serve(self) -> None:
        self.alive = False
        self.assertEqual(self.beats(8, WATCHDOG_USEC="4000000"), 0)


class PassedTests(SynchronousTestCase):
    def environment(self, **variables: str) -> dict[str, str]:
        """Return an environment, with descriptor 3 and 4 open."""
        for descriptor in (3, 4):
            kept = None
            try:
                kept = os.dup(descriptor)
                self.addCleanup(self.put_back, kept, descriptor)
            except OSError:
                self.addCleanup(os.close, descriptor)
            os.dup2(0, descriptor, inheritable=True)
        return {"LISTEN_FDS": "2", "LISTEN_PID": str(PID), **variables}

    @staticmethod
    def put_back(kept: int, descriptor: int) -> None:
        os.dup2(kept, descriptor)
        os.close(kept)

    def test_descriptors_and_their_names(self) -> None:
        environment = self.environment(LISTEN_FDNAMES="tcp:web")
        passed = passed_descriptors(environment, PID)
        self.assertEqual(passed, [Passed(3, "tcp"), Passed(4, "web")])
        self.assertEqual([os.get_inheritable(each.descriptor) for each in passed], [False, False])
        self.assertEqual(environment, {})
        self.assertEqual(passed_descriptors(environment, PID), [])

    def test_without_names(self) -> None:
        passed = passed_descriptors(self.environment(), PID)
        self.assertEqual(passed, [Passed(3, ""), Passed(4, "")])

    def test_meant_for_another_process(self) -> None:
        """As a child of the one that they were for finds them."""
        for pid in ("1", "", "me"):
            environment = {"LISTEN_FDS": "2", "LISTEN_PID": pid}
            self.assertEqual(passed_descriptors(environment, PID), [])
            self.assertEqual(environment, {})

    def test_twisted_has_taken_the_variables(self) -> None:
        """As its endpoints do when they are imported, and they may be before any of ours."""
        code = (
            "import os, twisted.internet.endpoints\n"
            "from gnetway.runtime.systemd import first_environment\n"
            "print(os.environ.get('LISTEN_FDS'), first_environment()['LISTEN_FDS'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"LISTEN_FDS": "0", "LISTEN_PID": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(done.stdout.split()[1:], ["0"])
