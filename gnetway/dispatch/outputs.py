"""What the core wants done; the shell takes these one by one, in order, after each input."""

from enum import Enum

from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Client, Request
from gnetway.errors import GatewayError


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
