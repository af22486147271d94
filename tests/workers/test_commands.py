import os
from typing import cast

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.workers.pipe import CommandReader


class CommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        reading, self.writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.open = True
        self.addCleanup(self.end)
        self.reactor = MemoryReactor()
        self.heard: list[str] = []
        self.reader = CommandReader(
            cast(IReactorFDSet, self.reactor),
            reading,
            self.heard.append,
            lambda: self.heard.append("gone"),
        )
        verifyObject(IReadDescriptor, self.reader)
        self.reader.start()

    def end(self) -> None:
        if self.open:
            os.close(self.writing)
            self.open = False

    def says(self, content: bytes) -> None:
        os.write(self.writing, content)
        self.reader.doRead()

    def test_line_by_line(self) -> None:
        self.assertEqual(self.reactor.getReaders(), [self.reader])
        self.says(b"reload\nco")
        self.says(b"unt\nst")
        self.assertEqual(self.heard, ["reload", "count"])

    def test_nothing_there(self) -> None:
        self.reader.doRead()
        self.assertEqual(self.heard, [])

    def test_the_parent_is_gone(self) -> None:
        self.end()
        self.reader.doRead()
        self.assertEqual(self.heard, ["gone"])
        self.assertEqual(self.reactor.getReaders(), [])
