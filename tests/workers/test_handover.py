import os
from threading import Thread

from gnetway.workers.pipe import (
    HandedSocket,
    Handover,
    pack_config,
    pack_handover,
    read_handover,
    unpack_config,
)
from tests.service.cases import ServiceCase


class HandoverTests(ServiceCase):
    def pipe(self, content: bytes) -> int:
        """Return a pipe to read from; it ends after what it brings."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)

        def write() -> None:
            with os.fdopen(writing, "wb") as file:
                file.write(content)

        thread = Thread(target=write)
        thread.start()
        self.addCleanup(thread.join)
        return reading

    def handover(self) -> Handover:
        sockets = (HandedSocket(0, 4, "", relayed=False), HandedSocket(0, 5, "/x", relayed=True))
        return Handover(self.remote(), 3, sockets, {0: "/y"})

    def test_there_and_back(self) -> None:
        given = self.handover()
        taken = read_handover(self.pipe(pack_handover(given)))
        self.assertEqual(taken[1:], given[1:])
        self.assertEqual(taken.config.listen_on, given.config.listen_on)
        (key,), (same,) = given.config.rsa_keys, taken.config.rsa_keys
        self.assertEqual(same.key.public_pem, key.key.public_pem)

    def test_a_configuration_alone(self) -> None:
        """As an argument of a command, which ends with its line."""
        given = self.remote()
        packed = pack_config(given)
        self.assertEqual(packed.split(), [packed])
        taken = unpack_config(packed)
        self.assertEqual(taken, given)
        self.assertEqual(taken.rsa_keys[0].key.fingerprint, given.rsa_keys[0].key.fingerprint)

    def test_nothing_behind_it_is_taken(self) -> None:
        """Commands follow."""
        pipe = self.pipe(pack_handover(self.handover()) + b"stop\n")
        read_handover(pipe)
        self.assertEqual(os.read(pipe, 100), b"stop\n")

    def test_a_parent_that_is_gone(self) -> None:
        for content in (b"", pack_handover(self.handover())[:-1]):
            self.assertRaises(EOFError, read_handover, self.pipe(content))
