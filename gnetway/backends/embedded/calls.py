"""The RPC calls of one session: which run, which wait for a bind, and their answers.

    a bind                  → BindWanted; calls meanwhile wait
    unbound temporary key:  help.getConfig, help.getNearestDc → CallWanted; any other call → 401
    bound, or permanent:    call → CallWanted → answered | failed | dropped by the client

What a session wants of the shell, by its calls or its service messages, goes into ``events``.

Source: core.telegram.org/api/pfs, core.telegram.org/mtproto/service_messages#rpc-result
"""

from typing import Final, NamedTuple

from gnetway.backends.embedded.key_state import KeyLayer
from gnetway.backends.embedded.outbox import Outbox
from gnetway.crypto.auth_key import AuthKey
from gnetway.tl.client_info import ClientInfo
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import RpcAnswerDropped, RpcErrorObject, RpcResult

#: Calls of one session that may run at a time; what is above is told to come again.
MAX_RUNNING_CALLS: Final = 256

#: Binds of one session that may be undecided at a time; each asks the store.
MAX_BINDS: Final = 8

#: Calls that may wait for a bind under way; clients send two or three.
MAX_WAITING_CALLS: Final = 64

#: What is answered to a key that nobody stands behind yet: iOS asks before it binds.
_UNBOUND_CALLS: Final = frozenset({Constructor.HELP_GET_CONFIG, Constructor.HELP_GET_NEAREST_DC})

#: What is above a bound hears this: official clients repeat the call by themselves, where a
#: FLOOD_WAIT would show the user a wait.
_BUSY: Final = (500, "WORKER_BUSY_TOO_LONG_RETRY")

_BOOL_TRUE: Final = pack_uint32(Constructor.BOOL_TRUE)
_UNKNOWN: Final = pack_uint32(Constructor.RPC_ANSWER_UNKNOWN)
_DROPPED_RUNNING: Final = pack_uint32(Constructor.RPC_ANSWER_DROPPED_RUNNING)


class CallWanted(NamedTuple):
    """A call for the handler; the shell answers by ``answered`` or ``failed``.

    ``body`` has no wrappers any more; ``layer`` is the one that they named, 0 if they named none.
    """

    msg_id: int
    body: bytes
    constructor: int
    layer: int


class LayerNamed(NamedTuple):
    """The client speaks another layer than it did: the store is to keep it."""


class ClientTold(NamedTuple):
    """The client has said of itself what it is."""

    client: ClientInfo


class CallDropped(NamedTuple):
    """The client wants no answer to this running call."""

    msg_id: int


class BindWanted(NamedTuple):
    """A temporary key is to be bound; the shell answers by ``bind_accepted``, ``bind_refused``."""

    msg_id: int
    bind: BindTempAuthKey


class KeyDestroyWanted(NamedTuple):
    """The key of the session is to go; the shell says destroy_auth_key_ok or its kin."""


class SessionDestroyWanted(NamedTuple):
    """Another session of the same key is to go; the shell says whether there was one."""

    session_id: int


SessionEvent = (
    CallWanted
    | LayerNamed
    | ClientTold
    | CallDropped
    | BindWanted
    | KeyDestroyWanted
    | SessionDestroyWanted
)


class SessionCalls:
    """Calls between a client's messages and the handler.

    ``key`` is the session's key as the gateway knows it, ``events`` goes to the shell. ``layer``
    is that of the key, ``running`` the msg_ids of calls without an answer yet.
    """

    __slots__ = ("_binding", "_bound_to", "_out", "_waiting", "events", "key", "layer", "running")

    def __init__(self, key: AuthKey, out: Outbox, layer: KeyLayer) -> None:
        self.key = key
        self.layer = layer
        self.events: list[SessionEvent] = []
        self.running: set[int] = set()
        self._out = out
        #: How many binds are not decided yet.
        self._binding = 0
        self._bound_to = 0
        self._waiting: list[CallWanted] = []

    @property
    def perm_auth_key_id(self) -> int:
        """The permanent key behind the session, 0 while there is none."""
        return self.key.perm_auth_key_id or self._bound_to

    def call(self, wanted: CallWanted, now: float) -> None:
        """Hand a call on, or answer it with an error."""
        if self._binding:
            # Clients send their first calls together with the bind, without waiting for it.
            # Whoever the gateway takes the client for: the store has the last word.
            if len(self._waiting) < MAX_WAITING_CALLS:
                self._waiting.append(wanted)
            else:
                self.refuse(wanted.msg_id, *_BUSY, now)
        elif not self.perm_auth_key_id and wanted.constructor not in _UNBOUND_CALLS:
            self.refuse(wanted.msg_id, 401, "AUTH_KEY_PERM_EMPTY", now)
        elif len(self.running) >= MAX_RUNNING_CALLS:
            self.refuse(wanted.msg_id, *_BUSY, now)
        else:
            self.running.add(wanted.msg_id)
            self.events.append(wanted)

    def answered(self, msg_id: int, result: bytes, now: float) -> None:
        """Answer a CallWanted; without effect if the client has dropped it."""
        if msg_id in self.running:
            self.running.discard(msg_id)
            self.answer(msg_id, result, now)

    def failed(self, msg_id: int, code: int, text: str, now: float) -> None:
        """Answer a CallWanted with an rpc_error; without effect if the client has dropped it."""
        self.answered(msg_id, RpcErrorObject(code, text).pack(), now)

    def answer(self, msg_id: int, result: bytes, now: float) -> None:
        """Say the rpc_result of any message."""
        self._out.say_content(RpcResult(msg_id, result).pack(), now, msg_id)

    def refuse(self, msg_id: int, code: int, text: str, now: float) -> None:
        """Say an rpc_error to any message."""
        self.answer(msg_id, RpcErrorObject(code, text).pack(), now)

    def drop(self, msg_id: int, dropped_msg_id: int, now: float) -> None:
        """Answer the rpc_drop_answer ``msg_id``: the client wants no answer to another call."""
        if dropped_msg_id in self.running:
            # Two answers, one of them the call's own, or its client would wait for that; see
            # core.telegram.org/mtproto/service_messages, Cancellation of an RPC Query.
            self.answered(dropped_msg_id, _DROPPED_RUNNING, now)
            self.events.append(CallDropped(dropped_msg_id))
            self.answer(msg_id, _DROPPED_RUNNING, now)
            return
        said = self._out.sent.answer_to(dropped_msg_id)
        if said is None:
            self.answer(msg_id, _UNKNOWN, now)
            return
        self._out.sent.drop(said.msg_id)
        dropped = RpcAnswerDropped(said.msg_id, said.seq_no, len(said.body))
        self.answer(msg_id, dropped.pack(), now)

    def bind(self, msg_id: int, bind: BindTempAuthKey, now: float) -> None:
        """Ask for a temporary key to be bound."""
        if self._binding >= MAX_BINDS:
            self.refuse(msg_id, *_BUSY, now)
            return
        self._binding += 1
        self.events.append(BindWanted(msg_id, bind))

    def bind_accepted(self, msg_id: int, perm_auth_key_id: int, now: float) -> None:
        """Answer BindWanted: calls are allowed from here on."""
        self._bound_to = perm_auth_key_id
        self.answer(msg_id, _BOOL_TRUE, now)
        self._bind_over(now)

    def bind_refused(self, msg_id: int, told: RpcErrorObject | None, now: float) -> None:
        """Answer BindWanted; ``told`` is what the client gets, None if the gateway tells it."""
        if told is not None:
            self.refuse(msg_id, told.code, told.text, now)
        else:
            self._out.acks.pop(msg_id, None)
        self._bind_over(now)

    def _bind_over(self, now: float) -> None:
        self._binding -= 1
        if self._binding:
            return
        # Refused or not: an unbound key's calls have an answer, too.
        waiting, self._waiting = self._waiting, []
        for wanted in waiting:
            self.call(wanted, now)
