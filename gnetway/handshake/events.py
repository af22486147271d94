"""What a :class:`~gnetway.handshake.exchange.KeyExchange` can say."""

from collections.abc import Callable
from typing import NamedTuple

from gnetway.crypto.auth_key import AuthKey


class Reply(NamedTuple):
    """Send this TL object to the client, unencrypted."""

    body: bytes

    def __repr__(self) -> str:
        return f"<Reply of {len(self.body)} bytes>"


class WorkWanted(NamedTuple):
    """Call ``work``, best in a thread: about 1 ms, and it touches nothing but its own data."""

    work: Callable[[], object]

    def __repr__(self) -> str:
        return "<WorkWanted>"


class StoreWanted(NamedTuple):
    """Store this key; the client hears of it only then.

    ``salt`` (signed) is valid from ``valid_since`` to ``valid_until``, Unix seconds.
    ``expires_in`` is the key's life in seconds, 0 for a permanent one. ``dc_id`` is the data centre
    that the obfuscated header names, 0 for none.
    """

    key: AuthKey
    salt: int
    valid_since: int
    valid_until: int
    expires_in: int
    dc_id: int = 0

    def __repr__(self) -> str:
        return f"<StoreWanted {self.key!r}>"


ExchangeEvent = Reply | WorkWanted | StoreWanted
