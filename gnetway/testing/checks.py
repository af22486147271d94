"""What a client finds wrong with a server."""

from collections.abc import Sequence


class PeerError(AssertionError):
    """The server's answer does not stand a client's checks.

    It is an assertion, so that a test that it ends has failed.
    """


class ServerKeyUnknown(PeerError):
    """The server has none of the client's RSA keys; ``offered`` are the fingerprints of its own.

    Fingerprints are signed 64-bit numbers.
    """

    def __init__(self, offered: Sequence[int]) -> None:
        super().__init__("no fingerprint is known")
        self.offered = list(offered)


class KeyGivenUp(Exception):
    """The server has proved by dh_gen_fail that it gave up."""


def demand(fact: bool, what: str) -> None:
    """Go on if it is so.

    :raises PeerError: it is not; ``what`` says what is wrong.
    """
    if not fact:
        raise PeerError(what)
