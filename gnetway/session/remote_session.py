"""One client session as the session nodes know it: where it was announced, and what it says."""

from collections.abc import Callable
from enum import Enum
from typing import Final

from gnetway.errors import GatewayError
from gnetway.interfaces import SessionClient
from gnetway.session.contract import client_head, data_lead, data_request, event_request
from gnetway.session.lane import Lane, Lanes
from gnetway.session.method import Method
from gnetway.session.nodes import Node
from gnetway.session.operation import DataOperation, Finished, Operation
from gnetway.session.single import Ending

#: No node's epoch: whatever the node knows, the session is announced there again.
_UNSURE: Final = -1

#: No operation's order.
_NOBODY: Final = -2


class Announce(Enum):
    """How a node hears of a new session.

    MESSAGE: inside its first message (Teamgram since March 2026). CALL: by a call before it, as
    older services need.
    """

    MESSAGE = "message"
    CALL = "call"


class RemoteSession:
    """The speaker of a session's lane.

    ``answered`` hears the answers to announcements and closes. ``forget`` is called when the
    session is closed and nothing is left to say. Should the client come back before that,
    ``reopen`` goes on in the same lane, so that the node hears of the end before it hears of the
    new beginning.
    """

    __deletable__ = ("lane",)
    __slots__ = (
        "_again",
        "_announce",
        "_announced_by",
        "_answered",
        "_client",
        "_closed",
        "_closing",
        "_ends",
        "_epoch",
        "_forget",
        "_lanes",
        "_lead",
        "_lead_ip",
        "_lead_key",
        "_lead_salt",
        "_perm_auth_key_id",
        "_server_id",
        "_target",
        "_version",
        "at",
        "lane",
    )

    def __init__(
        self,
        lanes: Lanes,
        client: SessionClient,
        server_id: str,
        announce: Announce,
        answered: Finished,
        forget: Callable[["RemoteSession"], None],
    ) -> None:
        self._lanes = lanes
        self._client = client
        #: Under which it was opened, and is to be closed: a bind that a service refuses takes it
        #: from the key.
        self._perm_auth_key_id = client.key.perm_auth_key_id
        self._server_id = server_id
        self._announce = announce
        self._answered = answered
        self._forget = forget
        #: The node that knows the session, or may know it, with its epoch then.
        self.at: Node | None = None
        self._epoch = _UNSURE
        #: The message that the announcement stands or falls with, until the node has confirmed
        #: it, and whether the node had heard one before.
        self._announced_by = _NOBODY
        self._again = False
        #: The node that a redirect named, empty where the ring decides.
        self._target = ""
        self._closed = False
        #: Whether an end is under way in the lane; and the nodes that others are on their way to.
        self._closing = False
        self._ends: set[str] | None = None
        #: What all messages begin with that have this perm_auth_key_id, address and salt.
        self._lead = b""
        self._lead_key = 0
        self._lead_ip = ""
        self._lead_salt = 0
        #: The node table's, if by then nothing was left to decide about the next message.
        self._version = _UNSURE
        self.lane = Lane(lanes, self)

    @property
    def name(self) -> tuple[int, int]:
        """auth_key_id and session_id."""
        return self._client.key.auth_key_id, self._client.session_id

    def reopen(self, client: SessionClient) -> None:
        """Go on for a client that has come back."""
        if self.lane.paused:
            self._client.resume_reading()
            client.pause_reading()
        self._client = client
        self._perm_auth_key_id = client.key.perm_auth_key_id
        self._closed = False

    def send(self, salt: int, payload: bytes, quick_ack: bool, finished: Finished) -> None:
        """Send a client's message."""
        ring_key = self._client.key.perm_auth_key_id
        self.lane.push(DataOperation(ring_key, salt, payload, quick_ack, finished))

    def close(self) -> None:
        """Tell the node that knows the session of its end, after all that was said before."""
        self._closed = True
        self._push_end()

    # -- what the lane asks --------------------------------------------------------------------

    def target_for(self, operation: Operation) -> str | None:
        """Return the node for an operation."""
        if operation.method is not Method.CLOSE_SESSION:
            return self._target
        return None if self.at is None else self.at.address

    def straight(self, operation: Operation) -> bytes:
        """Return the bytes of a message that goes where the last one went."""
        client = self._client
        if (
            self._version != self._lanes.nodes.version
            or self.at is None
            or self._epoch != self.at.epoch
            or not isinstance(operation, DataOperation)
            or operation.ring_key != self._lead_key
            or client.key.perm_auth_key_id != self._lead_key
            or client.client_ip != self._lead_ip
            or operation.salt != self._lead_salt
            or operation.target
            or operation.tried
        ):
            return b""
        return data_request(self._lead, False, operation.quick_ack, operation.payload)

    def redirected(self, target: str) -> bool:
        """Stay with the node that a redirect named until it fails."""
        self._target = target
        self._version = _UNSURE
        return True

    def prepare(self, operation: Operation, node: Node) -> bytes | Operation | None:
        """Return the bytes of an operation, or the announcement that is to precede it."""
        if not isinstance(operation, DataOperation):
            if operation.method is Method.CLOSE_SESSION:
                self._closing = True
                self._version = _UNSURE
            return operation.request(b"", False)
        lead = self._lead_of(operation)
        if self.at is node and self._epoch == node.epoch and not self._closing:
            nodes = self._lanes.nodes
            if nodes.is_choice(node, self._lead_key, self._target):
                self._version = nodes.version
            return operation.request(lead, False)
        if self._closing or (self._ends and node.address in self._ends):
            # Its end there is not answered yet, and could overtake the new beginning.
            return None
        self._move_to(node)
        self._announced_by = operation.order
        if self._announce is Announce.MESSAGE:
            return operation.request(lead, True)
        return self._event(Method.CREATE_SESSION, self._created, node.address, operation)

    def not_done(self, operation: Operation, node: Node | None) -> None:
        """Announce the session anew if that was the announcement."""
        if operation.method is Method.CLOSE_SESSION:
            self._closing = False
        elif node is None and operation.behalf is None and self._announce is Announce.CALL:
            pass  # a message that was not sent says nothing about the call before it
        elif operation.behalf is not None or operation.order == self._announced_by:
            self._announced_by = _NOBODY
            self._epoch = _UNSURE
            if not operation.uncertain and not self._again:
                self.at = None

    def unreachable(self, address: str) -> None:
        """Let the ring decide again."""
        if self._target == address:
            self._target = ""
            self._version = _UNSURE

    def hand_over(self, operation: Operation) -> bool:
        """Tell the end beside the lane, so that what comes behind it does not wait."""
        address = operation.target or (self.at.address if self.at is not None else "")
        self.at = None
        if not address:
            return False
        self._tell_end(address)
        return True

    def pause(self) -> None:
        """Read no more from the client."""
        self._client.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._client.resume_reading()

    def lost(self, cause: str) -> None:
        """End the connections, so that the client sends again what was given up."""
        self._client.end_links(cause)

    def drained(self) -> None:
        """Be forgotten, if the session is closed and every node knows."""
        if self._closed and self.at is not None:
            self._push_end()
        elif self._closed and not self._ends and hasattr(self, "lane"):
            self._forget(self)
            # The two hold each other, and would wait for the garbage collector.
            del self.lane

    # -- small parts ---------------------------------------------------------------------------

    def _move_to(self, node: Node) -> None:
        before, self.at = self.at, node
        self._version = _UNSURE
        self._epoch = node.epoch
        self._again = before is node
        if before is not None and before is not node:
            self._tell_end(before.address)

    def _created(self, reply: bytes, error: GatewayError | None) -> None:
        if error is None:
            self._announced_by = _NOBODY
        self._answered(reply, error)

    def _push_end(self) -> None:
        self.lane.push(self._event(Method.CLOSE_SESSION, self._end_answered))

    def _end_answered(self, reply: bytes, error: GatewayError | None) -> None:
        if self._closing:
            self._closing = False
            self.at = None
        self._answered(reply, error)

    def _tell_end(self, address: str) -> None:
        """Tell a node that it is rid of the session; until then it hears nothing else of it."""
        if self._ends is None:
            self._ends = set()
        self._ends.add(address)

        def told(reply: bytes, error: GatewayError | None) -> None:
            if self._ends is not None:
                self._ends.discard(address)
            self.lane.go_on()

        Ending(self._lanes, self._event(Method.CLOSE_SESSION, told, address)).begin()

    def _event(
        self,
        method: Method,
        finished: Finished,
        target: str = "",
        behalf: Operation | None = None,
    ) -> Operation:
        perm_auth_key_id = self._perm_auth_key_id
        request = event_request(method, self._server_id, self._client, perm_auth_key_id)
        return Operation(method, perm_auth_key_id, request, finished, target, behalf)

    def _lead_of(self, operation: DataOperation) -> bytes:
        client = self._client
        # By the key that it was handed over under: a bind that is refused meanwhile takes it away.
        key, address, salt = operation.ring_key, client.client_ip, operation.salt
        if (key, address, salt) != (self._lead_key, self._lead_ip, self._lead_salt) or (
            not self._lead
        ):
            self._lead_key, self._lead_ip, self._lead_salt = key, address, salt
            self._lead = data_lead(client_head(self._server_id, client, key), salt)
        return self._lead
