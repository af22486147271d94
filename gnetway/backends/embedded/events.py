"""What a ``ClientSession`` wants done by the shell."""

from typing import NamedTuple

from gnetway.tl.key_exchange import BindTempAuthKey


class CallWanted(NamedTuple):
    """A call for the handler; answer by ``call_answered`` or ``call_failed``.

    ``body`` has no wrappers any more; ``layer`` is the one that they named, 0 if they named none.
    """

    msg_id: int
    body: bytes
    constructor: int
    layer: int


class LayerNamed(NamedTuple):
    """The client speaks another layer than it did: the store is to keep it."""


class CallDropped(NamedTuple):
    """The client wants no answer to this running call."""

    msg_id: int


class BindWanted(NamedTuple):
    """A temporary key is to be bound; answer by ``bind_accepted`` or ``bind_refused``."""

    msg_id: int
    bind: BindTempAuthKey


class KeyDestroyWanted(NamedTuple):
    """The key of the session is to go; answer by ``key_destroyed``."""


class SessionDestroyWanted(NamedTuple):
    """Another session of the same key is to go; answer by ``session_destroyed``."""

    session_id: int


SessionEvent = (
    CallWanted | LayerNamed | CallDropped | BindWanted | KeyDestroyWanted | SessionDestroyWanted
)
