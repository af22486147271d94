"""The API layer that the client of an auth key speaks, as it said by invokeWithLayer.

Clients name it once for a key, and its other sessions rely on it. It belongs to the permanent key:
temporary ones come and go, and take it from the key they are bound to. Until then an unbound one
has a layer of its own.

Source: core.telegram.org/api/invoking#layers
"""

from typing import Final

#: The highest layer taken. Layers have come one by one since 2013 and are in the hundreds; what is
#: above is a slip or a trial of ours.
MAX_LAYER: Final = 0xFFFF


def is_layer(number: int) -> bool:
    """Tell whether a client may name this number."""
    return 0 < number <= MAX_LAYER


class KeyLayer:
    """The layer of one key, shared by all its sessions; ``number`` is 0 while none was named.

    ``saved`` is what the store has of it, ``saving`` whether it is being told another.
    """

    __slots__ = ("__weakref__", "_number", "_of_perm", "auth_key_id", "saved", "saving")

    def __init__(self, auth_key_id: int, number: int = 0) -> None:
        self.auth_key_id = auth_key_id
        self.saved = number
        self.saving = False
        self._number = number
        self._of_perm: KeyLayer | None = None

    @property
    def number(self) -> int:
        """The layer named last."""
        return self._number if self._of_perm is None else self._of_perm.number

    @property
    def owner(self) -> "KeyLayer":
        """The one that counts: that of the permanent key, once there is one."""
        return self if self._of_perm is None else self._of_perm

    def name(self, number: int) -> bool:
        """Hear the client name a layer; returns whether it is another than before."""
        if self._of_perm is not None:
            return self._of_perm.name(number)
        changed = number != self._number
        self._number = number
        return changed

    def bind(self, perm: "KeyLayer") -> None:
        """Hand over to the permanent key: what was named here is what it was told last."""
        if self.owner is perm:
            return
        if self.number:
            perm.name(self.number)
        self._of_perm = perm
