"""One process at a time has a store."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.sqlite_file import StoreLock
from gnetway.backends.embedded.store import StoreUnusable

#: Takes the lock of its argument, says so, and waits to be killed.
HOLDER = """
import signal, sys
from gnetway.backends.embedded.sqlite_file import StoreLock
lock = StoreLock(sys.argv[1])
lock.take()
print("taken", flush=True)
signal.pause()
"""


class StoreLockTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/keys.sqlite"
        self.lock = StoreLock(self.path)
        self.addCleanup(self.lock.release)

    def refusal(self, path: str) -> str:
        return str(self.assertRaises(StoreUnusable, StoreLock(path).take))

    def test_one_at_a_time(self) -> None:
        self.lock.take()
        self.assertEqual(self.refusal(self.path), f"{self.path}: another gateway uses it")
        self.lock.release()
        other = StoreLock(self.path)
        other.take()
        other.release()

    def test_twice_by_the_same(self) -> None:
        self.lock.take()
        self.lock.take()
        self.refusal(self.path)

    def test_handed_on(self) -> None:
        """Both have it, and nobody else until both have let it go."""
        self.lock.take()
        (descriptor,) = self.lock.descriptors()
        other = StoreLock(self.path)
        other.take({f"{self.path}-lock": os.dup(descriptor)}.get)
        self.assertTrue(other.is_shared)
        self.lock.release()
        self.refusal(self.path)
        other.release()
        self.lock.take()
        self.assertFalse(self.lock.is_shared)

    def test_a_link_leads_to_the_same_store(self) -> None:
        link = f"{self.path}.link"
        os.symlink(self.path, link)
        self.lock.take()
        self.assertIn(link, self.refusal(link))

    def test_it_dies_with_its_process(self) -> None:
        command = [sys.executable, "-c", HOLDER, self.path]
        holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), b"taken\n")
        self.refusal(self.path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        self.lock.take()

    def test_only_the_owner_may_take_it(self) -> None:
        self.lock.take()
        self.assertEqual(os.stat(f"{self.path}-lock").st_mode & 0o777, 0o600)

    def test_it_belongs_to_the_owner_of_the_store(self) -> None:
        Path(self.path).touch()
        with patch("os.fchown") as changed:
            self.lock.take()
            self.lock.release()
            # What is there already is left as it is: it may be a link of somebody's.
            self.lock.take()
        changed.assert_called_once()
        self.assertEqual(changed.call_args.args[1:], (os.getuid(), os.getgid()))

    def test_no_link_is_followed(self) -> None:
        os.symlink(f"{self.path}.elsewhere", f"{self.path}-lock")
        self.assertIn("symbolic link", self.refusal(self.path))

    def test_no_such_folder(self) -> None:
        path = f"{self.path}/x"
        self.assertEqual(self.refusal(path), f"{path}-lock: No such file or directory")

    def test_a_file_system_without_locks(self) -> None:
        failure = OSError(37, "No locks")
        with patch("gnetway.backends.embedded.sqlite_file.flock", side_effect=failure):
            self.assertEqual(self.refusal(self.path), f"{self.path}-lock: No locks")
