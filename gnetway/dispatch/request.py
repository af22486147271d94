"""Requests to the session service, and what the core wants done with them and with nodes.

A ``Request`` is one call on its way, until it is answered or given up. Its ``Owner`` decides where
it goes, and whether again. A client's message is a ``DataRequest``; those of one session that
cannot be sent yet are its ``Backlog``. Each ``Output`` is one thing to do: the shell takes them one
by one, in order, after each input.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from operator import attrgetter
from typing import Final, Protocol

from gnetway.crypto.auth_key import AuthKey
from gnetway.dispatch.node import Node
from gnetway.errors import GatewayError
from gnetway.rpc.status import Method


class Client(Protocol):
    """One session of a client; all of it is read anew for each message, since it may change."""

    @property
    def key(self) -> AuthKey:
        """The auth key; its ``perm_auth_key_id`` changes with a bind."""

    @property
    def session_id(self) -> int:
        """The session_id, signed."""

    @property
    def client_ip(self) -> str:
        """The address of the newest connection."""

    @property
    def dc_id(self) -> int:
        """The data centre that the newest connection named, 1 to 1000; 0 for none."""


class Salt(Protocol):
    """A server salt and when it holds, in Unix seconds."""

    @property
    def valid_since(self) -> int:
        """When it begins to hold."""

    @property
    def valid_until(self) -> int:
        """When it ends."""

    @property
    def salt(self) -> int:
        """The salt, signed."""


#: Hears the end of a request, from the shell: the reply, or the error.
Done = Callable[[bytes, GatewayError | None], None]

_SEND_DATA: Final = Method.SEND_DATA  # once: enums are slow to look up what they have


class Owner(Protocol):
    """Whose requests they are, and who decides where they go."""

    #: How many of its requests are with nodes, unanswered.
    in_flight: int

    def go_on(self, now: float) -> None:
        """Send what can be sent now."""

    def give_up(self, cause: str, now: float) -> None:
        """Fail everything that waits for a node."""

    def decided(self, request: "Request") -> "Request":
        """Return the request whose way is decided: another one, if this one only prepares it."""

    def confirmed(self, request: "Request") -> None:
        """A node has done a request."""

    def again(self, request: "Request", certain: bool) -> None:
        """Take back a request to send it again; ``certain`` is whether no node has done it."""

    def ended(self, request: "Request", certain: bool) -> "Request":
        """A request has failed for good; return the one that fails by it.

        ``certain`` is as in ``again``.
        """

    def redirected(self, request: "Request", address: str) -> bool:
        """Another node is to be tried, or with an empty address the ring's; return whether so."""

    def unreachable(self, request: "Request", address: str) -> None:
        """A node is not to be talked to for now: a redirect to it counts no more."""


class Request:
    """A request and what became of it so far.

    ``ring_key`` chooses the node, unless ``target`` or its owner names one. ``tried`` are the
    nodes that failed it since it last found none, ``redirected_to`` the node that a redirect named
    since then. ``sends`` is how often a node may have got it without answering. ``order`` is its
    place in its queue, ``held_since`` when it first waited for a node, in seconds; ``size`` is
    what it costs while it waits, in bytes. ``payload`` is the request, or of data what it is made
    of.
    """

    # What nearly no request needs has its default here, and its place only once it is set: two
    # objects are made for each message, this one and its bytes.
    redirected_to = ""
    sends = 0
    tried: set[str] | None = None
    held_since: float | None = None

    __slots__ = (
        "__dict__",
        "dc_id",
        "done",
        "method",
        "node",
        "order",
        "owner",
        "payload",
        "ring_key",
        "size",
        "target",
    )

    def __init__(
        self,
        owner: Owner,
        method: Method,
        ring_key: int,
        payload: bytes,
        done: Done | None = None,
        dc_id: int = 0,
    ) -> None:
        self.owner = owner
        self.method = method
        self.ring_key = ring_key
        self.payload = payload
        self.done = done
        self.size = len(payload)
        self.target = ""
        self.order = -1
        self.dc_id = dc_id
        self.node: Node | None = None

    def passes_over(self, address: str) -> None:
        """Pass over a node until there is none left to try."""
        if self.tried is None:
            self.tried = set()
        self.tried.add(address)


class DataRequest(Request):
    """A client's message; its bytes are made when its node is known."""

    __slots__ = ("quick_ack", "salt")

    def __init__(
        self,
        owner: Owner,
        ring_key: int,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        done: Done | None,
    ) -> None:
        # As the base class does it, whose call would cost as much as the rest.
        self.owner = owner
        self.method = _SEND_DATA
        self.ring_key = ring_key
        self.payload = payload
        self.done = done
        self.size = len(payload)
        self.target = ""
        self.order = -1
        self.dc_id = 0
        self.node = None
        self.salt = salt
        self.quick_ack = quick_ack


#: Above so many waiting requests of a session, or bytes of them, its client is not read any
#: further; it is again at half of both, so that reading does not stop and start with each message.
MAX_WAITING: Final = 64
MAX_WAITING_BYTES: Final = 1024 * 1024

_by_order = attrgetter("order")


class Backlog:
    """The requests of one session that wait, and those that have failed and are to go again first.

    A queue has one only while there is any of both, as most have none. ``failed`` is None until
    something fails; from then on nothing is ``ready`` until ``put_back``, which is to come when
    nothing is in flight any more. ``size`` is that of what waits, in bytes.
    """

    __slots__ = ("failed", "size", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[DataRequest] = deque()
        self.size = 0
        self.failed: list[DataRequest] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing waits, and nothing has failed."""
        return not self.waiting and self.failed is None

    @property
    def ready(self) -> DataRequest | None:
        """The request that is to go next, if it may be sent."""
        return self.waiting[0] if self.waiting and self.failed is None else None

    @property
    def too_many(self) -> bool:
        """Whether the client is not to be read any further."""
        return len(self.waiting) > MAX_WAITING or self.size > MAX_WAITING_BYTES

    @property
    def few(self) -> bool:
        """Whether the client may be read on."""
        return len(self.waiting) <= MAX_WAITING // 2 and self.size <= MAX_WAITING_BYTES // 2

    def append(self, request: DataRequest) -> None:
        """Add a request behind all others."""
        self.waiting.append(request)
        self.size += request.size

    def take_first(self) -> DataRequest:
        """Remove the request that is sent, or has failed, and return it."""
        request = self.waiting.popleft()
        self.size -= request.size
        return request

    def put_back(self) -> None:
        """Have what has failed wait again, before what came after it."""
        failed, self.failed = self.failed, None
        if not failed:
            return
        # Answers may come in any order, even where requests do not.
        failed.sort(key=_by_order)
        self.size += sum(request.size for request in failed)
        self.waiting.extendleft(reversed(failed))

    def clear(self) -> list[DataRequest]:
        """Remove and return all; what was stopped by a failure stays stopped."""
        left = [*(self.failed or ()), *self.waiting]
        if self.failed is not None:
            self.failed = []
        self.waiting.clear()
        self.size = 0
        return left


class Output:
    """Something to be done."""

    __slots__ = ()


class Send(Output):
    """Send ``data`` to the request's node; its end is told by ``answered`` or ``failed``."""

    __slots__ = ("data", "request")

    def __init__(self, request: Request, data: bytes) -> None:
        self.request = request
        self.data = data


class Finished(Output):
    """A request has ended: with a reply, or an error."""

    __slots__ = ("error", "reply", "request")

    def __init__(self, request: Request, reply: bytes, error: GatewayError | None) -> None:
        self.request = request
        self.reply = reply
        self.error = error


class Reading(Output):
    """Read on from a client, or no more until told."""

    __slots__ = ("client", "paused")

    def __init__(self, client: Client, paused: bool) -> None:
        self.client = client
        self.paused = paused


class SessionLost(Output):
    """End a client's connections without a code, so that it sends again what was given up."""

    __slots__ = ("cause", "client")

    def __init__(self, client: Client, cause: str) -> None:
        self.client = client
        self.cause = cause


class KeyGone(Output):
    """The session service has proved that it does not know a key.

    Of the permanent key behind a temporary one that proves nothing, but gives reason to ask.
    """

    __slots__ = ("auth_key_id", "perm_auth_key_id")

    def __init__(self, auth_key_id: int, perm_auth_key_id: int) -> None:
        self.auth_key_id = auth_key_id
        self.perm_auth_key_id = perm_auth_key_id


class NodeWish(Enum):
    """What is to be done with a node's connection."""

    #: See that there is one; ``connected`` or ``disconnected`` tells.
    CONNECT = "connect"
    #: Close it for good.
    CLOSE = "close"
    #: Ask the node for something harmless; ``probed`` tells.
    PROBE = "probe"


class NodeOutput(Output):
    """Do something with a node's connection."""

    __slots__ = ("node", "wish")

    def __init__(self, node: Node, wish: NodeWish) -> None:
        self.node = node
        self.wish = wish


class NodeChange(Enum):
    """What an operator wants to read of a node."""

    JOINS = "joins"
    LEAVES = "leaves"
    WELL_AGAIN = "is well again"
    UNUSABLE = "is not used"


class NodeNews(Output):
    """Tell the operator of a node; ``why`` is empty where there is nothing to say."""

    __slots__ = ("change", "node", "why")

    def __init__(self, node: Node, change: NodeChange, why: str = "") -> None:
        self.node = node
        self.change = change
        self.why = why
