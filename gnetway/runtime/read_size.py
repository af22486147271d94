"""How much is read from a socket at once: more, where somebody sends much.

Twisted reads 64 KiB at a time, so that a message of 64 KiB, which is a little more with all that is
around it, comes in two pieces: two events and two system calls, and a copy to join them.
"""

from typing import Final

from twisted.internet.abstract import FileDescriptor

#: What Twisted reads at once, in bytes; who sends as much in one go may have more to send.
USUAL_BYTES: Final = FileDescriptor.bufferSize

#: What is read at once from who sends much, in bytes. It stays below the size from which glibc,
#: left to itself, asks the system for each block anew.
LARGE_BYTES: Final = 96 * 1024


def read_more(transport: object) -> None:
    """Have more read at once from now on, if the transport is a socket of Twisted's.

    It also is what such a transport keeps unsent before it pauses its producer.
    """
    if isinstance(transport, FileDescriptor):
        transport.bufferSize = LARGE_BYTES
