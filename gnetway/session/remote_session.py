"""One client session as the session nodes know it: where it was announced, and what it says."""

from collections.abc import Callable
from enum import Enum

from gnetway.interfaces import SessionClient
from gnetway.session.contract import Method, client_head, event_request
from gnetway.session.lane import Lane, Lanes
from gnetway.session.nodes import Node
from gnetway.session.operation import DataOperation, Finished, Operation
from gnetway.session.single import SingleRequest


class Announce(Enum):
    """How a node hears of a new session.

    MESSAGE: inside its first message (Teamgram since March 2026). CALL: by a call before it, as
    older services need.
    """

    MESSAGE = "message"
    CALL = "call"


class RemoteSession:
    """The speaker of a session's lane.

    ``forget`` is called when the session is closed and nothing is left to say. Should the client
    come back before that, ``reopen`` goes on in the same lane, so that the node hears of the end
    before it hears of the new beginning.
    """

    __slots__ = (
        "_announce",
        "_announced",
        "_client",
        "_closed",
        "_forget",
        "_head",
        "_head_of",
        "_lanes",
        "_server_id",
        "_target",
        "lane",
    )

    def __init__(
        self,
        lanes: Lanes,
        client: SessionClient,
        server_id: str,
        announce: Announce,
        forget: Callable[["RemoteSession"], None],
    ) -> None:
        self._lanes = lanes
        self._client = client
        self._server_id = server_id
        self._announce = announce
        self._forget = forget
        #: The node that knows the session, with its epoch then.
        self._announced: tuple[str, int] | None = None
        #: The node that a redirect named, empty where the ring decides.
        self._target = ""
        self._closed = False
        self._head = b""
        self._head_of: tuple[int, str] | None = None
        self.lane = Lane(lanes, self)

    @property
    def name(self) -> tuple[int, int]:
        """auth_key_id and session_id."""
        return self._client.key.auth_key_id, self._client.session_id

    def reopen(self, client: SessionClient) -> None:
        """Go on for a client that has come back."""
        self._client = client
        self._closed = False

    def send(self, salt: int, payload: bytes, quick_ack: bool, finished: Finished) -> None:
        """Send a client's message."""
        ring_key = self._client.key.perm_auth_key_id
        self.lane.push(DataOperation(ring_key, salt, payload, quick_ack, finished))

    def close(self) -> None:
        """Tell the node that knows the session of its end, after all that was said before."""
        self._closed = True
        self.lane.push(self._event(Method.CLOSE_SESSION))

    # -- what the lane asks --------------------------------------------------------------------

    def target_for(self, operation: Operation) -> str | None:
        """Return the node for an operation."""
        if operation.method is not Method.CLOSE_SESSION:
            return self._target
        if self._announced is None:
            return None
        address, self._announced = self._announced[0], None
        if self._lanes.nodes.gone(address):
            self._tell_end(address)
            return None
        return address

    def redirected(self, target: str) -> None:
        """Stay with the node that a redirect named until it fails."""
        self._target = target

    def request_for(self, operation: Operation, node: Node) -> bytes:
        """Return the bytes of an operation for that node."""
        if operation.method is not Method.SEND_DATA:
            return operation.request(b"", False)
        first = self._announced != (node.address, node.epoch)
        if first:
            self._move_to(node)
        return operation.request(self._current_head(), first)

    def before(self, operation: Operation, node: Node) -> Operation | None:
        """Return the call that announces the session, where that is not done in a message."""
        if (
            self._announce is Announce.MESSAGE
            or operation.method is not Method.SEND_DATA
            or self._announced == (node.address, node.epoch)
        ):
            return None
        self._move_to(node)
        return self._event(Method.CREATE_SESSION, node.address)

    def node_failed(self, node: Node) -> None:
        """Announce the session anew before anything else is said."""
        if self._announced is not None and self._announced[0] == node.address:
            self._announced = None
        if self._target == node.address:
            self._target = ""

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
        """Be forgotten, if the session is closed."""
        if self._closed:
            self._forget(self)

    # -- small parts ---------------------------------------------------------------------------

    def _move_to(self, node: Node) -> None:
        before = self._announced
        self._announced = (node.address, node.epoch)
        if before is not None and before[0] != node.address:
            self._tell_end(before[0])

    def _tell_end(self, address: str) -> None:
        """Tell a node that it is rid of the session, if it still listens."""
        single = SingleRequest(self._lanes, patient=False)
        single.lane.push(self._event(Method.CLOSE_SESSION, address))

    def _event(self, method: Method, target: str = "") -> Operation:
        request = event_request(method, self._server_id, self._client)
        ring_key = self._client.key.perm_auth_key_id
        return Operation(method, ring_key, request, target=target)

    def _current_head(self) -> bytes:
        client = self._client
        head_of = (client.key.perm_auth_key_id, client.client_ip)
        if head_of != self._head_of:
            self._head_of = head_of
            self._head = client_head(self._server_id, client)
        return self._head
