"""Where the embedded backend keeps auth keys and their salts: what every store does.

Two providers: :class:`~gnetway.backends.embedded.memory_store.MemoryStore`, and
:class:`~gnetway.backends.embedded.sqlite_store.SQLiteStore`, which survives a restart.
"""
# ruff: noqa: N805 (zope interfaces have no self)

from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import GatewayError
from gnetway.interfaces import FutureSalt

#: Keys that a store keeps where nobody says otherwise.
DEFAULT_MAX_KEYS: Final = 1_000_000

#: How long a key that was never used is taken for one whose client is about to speak, in seconds:
#: if the store is full, such a key gives way last.
NEW_KEY_SECONDS: Final = 60

#: Keys that are dropped at a time, so that whoever asks for another meanwhile waits a few ms.
PURGED_KEYS: Final = 500


class StoreUnusable(GatewayError):
    """The store cannot be opened; the text names its file and says why."""


class StoredKey:
    """An auth key as it is kept: the key, its salts in the order of time, and its layer.

    ``layer`` is the API layer that the client named last, 0 for none. What a store gives for a
    bound temporary key has that of the permanent key. ``made_at`` and ``used_at`` are Unix seconds:
    when it was added, and when it was used last, roughly; 0 for never.
    """

    __slots__ = ("key", "layer", "made_at", "salts", "used_at")

    def __init__(
        self,
        key: AuthKey,
        salts: list[FutureSalt],
        layer: int = 0,
        made_at: int = 0,
        used_at: int = 0,
    ) -> None:
        self.key = key
        self.salts = salts
        self.layer = layer
        self.made_at = made_at
        self.used_at = used_at

    def __repr__(self) -> str:
        return f"<StoredKey {self.key!r} with {len(self.salts)} salts>"


class IKeyStore(Interface):
    """Auth keys by auth_key_id, in order: what was handed over first is done first.

    There is a bound on their number. Where it is reached, a new key takes the place of the oldest
    that was never used, but for those made within ``NEW_KEY_SECONDS``; if there is none, of the one
    that was used longest ago.

    Calls fail with :class:`~gnetway.errors.BackendUnavailable` when the store does.
    """

    description: str = Attribute("Where the keys are, for the start-up log.")

    def open() -> Deferred[None]:
        """Begin; fails with StoreUnusable."""

    def close() -> Deferred[None]:
        """End; fires when everything handed over is kept."""

    def add(stored: StoredKey) -> Deferred[bool]:
        """Keep a new key; fires with False where its auth_key_id is taken."""

    def load(auth_key_id: int) -> Deferred[StoredKey]:
        """Fire with a fresh copy of the key, or fail with KeyUnknown."""

    def bind(temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        """Note which permanent key stands behind a temporary one."""

    def note_use(auth_key_ids: Sequence[int], used_at: int) -> Deferred[None]:
        """Note that keys were used, in Unix seconds."""

    def save_salts(auth_key_id: int, salts: list[FutureSalt]) -> Deferred[None]:
        """Keep these salts instead of the ones before."""

    def save_layer(auth_key_id: int, layer: int) -> Deferred[None]:
        """Keep the layer of a key that is permanent or not bound."""

    def remove(auth_key_id: int) -> Deferred[list[int]]:
        """Drop a key and the temporary keys bound to it; fires with the ids of what was there."""

    def keep_newest(msg_id: int) -> Deferred[None]:
        """Note the highest msg_id of a client that was taken, last of all before ``close``."""

    def take_newest() -> Deferred[int | None]:
        """Fire with what ``keep_newest`` noted, and forget it; with 0 where the store is new.

        With None where nothing was noted since it was asked last, as after a crash. What is
        forgotten here must stay forgotten.
        """

    def purge(now: float, unused_before: float) -> Deferred[int]:
        """Drop temporary keys that expired before ``now``, and keys that were never used.

        Those of them that were made before ``unused_before``, in Unix seconds as well. Fires with
        the number of those dropped; at ``PURGED_KEYS`` there may be more.
        """


def copy_key(key: AuthKey, perm_auth_key_id: int) -> AuthKey:
    """Return the key as one that is bound to ``perm_auth_key_id``."""
    return AuthKey(key.secret, key.kind, perm_auth_key_id, key.expires_at)
