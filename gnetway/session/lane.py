"""What keeps the messages of one session in order on their way to the session nodes.

    waiting → flying → answered
       ↑         │ node down, or redirect
       └ failed ─┘   (in their old order, when nothing flies any more)

By unary calls one operation flies at a time, since calls may overtake each other; by stream any
number, as a stream keeps order, but all to one node. Once something has failed nothing new starts
until all that flew is answered, so what failed goes again before what came after it.
"""

from collections import deque
from typing import Final, Protocol

from gnetway.errors import BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.rpc.status import (
    RpcStatus,
    StatusCode,
    is_key_unregistered,
    is_unavailable,
    redirect_target,
)
from gnetway.session.contract import Method
from gnetway.session.hold import Hold
from gnetway.session.nodes import Node, NodeTable
from gnetway.session.operation import Operation

#: Above so many waiting operations, or bytes of them, the client is not read any further; it is
#: again below half of both.
MAX_WAITING: Final = 64
MAX_WAITING_BYTES: Final = 1024 * 1024

#: How often a message is sent that nodes may have got without answering: once more.
MAX_SENDS: Final = 2


class Speaker(Protocol):
    """Whose operations a lane carries: a session, or a single request."""

    def target_for(self, operation: Operation) -> str | None:
        """Return the node an operation is for, empty where the ring decides.

        None where nobody needs to hear of it any more.
        """

    def redirected(self, target: str) -> None:
        """Hear that another node is the one to talk to."""

    def request_for(self, operation: Operation, node: Node) -> bytes:
        """Return the bytes of an operation for that node."""

    def before(self, operation: Operation, node: Node) -> Operation | None:
        """Return what that node must hear before the operation, None if nothing."""

    def node_failed(self, node: Node) -> None:
        """Hear that the node may have forgotten what it was told."""

    def pause(self) -> None:
        """Read no more from the client until ``resume``."""

    def resume(self) -> None:
        """Read again."""

    def lost(self, cause: str) -> None:
        """Hear that operations were given up."""

    def drained(self) -> None:
        """Hear that nothing is left; the lane may be forgotten."""


class Lanes:
    """What all lanes share: ``window`` is how many operations of a lane may fly at a time."""

    __slots__ = ("hold", "nodes", "window")

    def __init__(self, nodes: NodeTable, hold: Hold, window: int) -> None:
        self.nodes = nodes
        self.hold = hold
        self.window = window


class Lane:
    """The operations of one speaker, in order.

    With ``patient`` unset nothing waits for a node: what no node takes fails at once.
    """

    __slots__ = (
        "_failed",
        "_flying",
        "_flying_to",
        "_held",
        "_lanes",
        "_patient",
        "_paused",
        "_pumping",
        "_speaker",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(self, lanes: Lanes, speaker: Speaker, patient: bool = True) -> None:
        self._lanes = lanes
        self._speaker = speaker
        self._patient = patient
        self._waiting: deque[Operation] | None = None
        self._waiting_bytes = 0
        self._flying: dict[Operation, None] = {}
        self._flying_to: Node | None = None
        self._failed: list[Operation] | None = None
        self._held = False
        self._paused = False
        self._pumping = False

    @property
    def empty(self) -> bool:
        """Whether nothing waits or flies."""
        return not (self._waiting or self._flying or self._failed)

    # -- in ------------------------------------------------------------------------------------

    def push(self, operation: Operation) -> None:
        """Add an operation behind all others."""
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(operation)
        self._waiting_bytes += operation.size
        if not self._held:
            self._pump()
            self._end_if_empty()
        elif not self._lanes.hold.add(self, operation.size):
            self.give_up("hold_full")

    def withdraw(self, operation: Operation) -> None:
        """Forget an operation that nobody asks for any more."""
        operation.finished = None
        if self._waiting and operation in self._waiting:
            self._waiting.remove(operation)
            self._waiting_bytes -= operation.size
            self._lanes.nodes.given_up(operation)
            if self._held:
                self._lanes.hold.remove(self, operation.size)
                if not self._waiting:
                    self._leave_hold()
            self._end_if_empty()

    # -- out -----------------------------------------------------------------------------------

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._waiting and not self._failed and len(self._flying) < self._lanes.window:
                if not self._start(self._waiting[0]):
                    break
        finally:
            self._pumping = False
        self._mind_the_client()

    def _start(self, operation: Operation) -> bool:
        """Send the first waiting operation; False where the lane has to wait."""
        nodes = self._lanes.nodes
        if not operation.target:
            target = self._speaker.target_for(operation)
            if target is None:
                self._take_first()
                operation.finish(b"")
                return True
            operation.target = target
        node = nodes.choose(operation)
        if node is None:
            return self._no_node(operation)
        if self._flying and node is not self._flying_to:
            # Two nodes do not keep each other's order: the next one waits for the last answer.
            return False
        earlier = self._speaker.before(operation, node)
        if earlier is not None:
            nodes.pass_trial(node, operation, earlier)
            self._put_first(earlier)
            return True
        request = self._speaker.request_for(operation, node)
        self._take_first()
        self._flying[operation] = None
        self._flying_to = node
        if not node.link.perform(operation, request, self._answered):
            del self._flying[operation]
            self._put_first(operation)
            self._stop()
            return False
        return True

    def _no_node(self, operation: Operation) -> bool:
        """Wait for a node, or fail the operation and say that the next may try."""
        operation.tried = None
        if self._patient:
            self._stop()
            return False
        self._take_first()
        operation.finish(b"", BackendUnavailable("no session node answers"))
        return True

    def _take_first(self) -> None:
        assert self._waiting is not None
        self._waiting_bytes -= self._waiting.popleft().size
        if not self._waiting:
            self._waiting = None

    def _put_first(self, operation: Operation) -> None:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.appendleft(operation)
        self._waiting_bytes += operation.size

    # -- waiting for a node --------------------------------------------------------------------

    def _stop(self) -> None:
        """Wait until the nodes have changed; everything that waits needs room in the hold."""
        hold = self._lanes.hold
        self._held = True
        hold.stop(self)
        if not all(hold.add(self, operation.size) for operation in self._waiting or ()):
            self.give_up("hold_full")

    def go_on(self) -> None:
        """Try again: a node may take what waits."""
        since = self._leave_hold()
        self._pump()
        if self._held:
            self._lanes.hold.was_here(self, since)
        self._end_if_empty()

    def give_up(self, cause: str) -> None:
        """Fail everything that waits."""
        self._leave_hold()
        waiting, self._waiting = self._waiting, None
        self._waiting_bytes = 0
        for operation in waiting or ():
            self._lanes.hold.lost.count(cause)
            self._lanes.nodes.given_up(operation)
            operation.finish(b"", BackendUnavailable("the session service did not answer in time"))
        self._speaker.lost(cause)
        self._end_if_empty()

    def _leave_hold(self) -> float:
        self._held = False
        return self._lanes.hold.leave(self)

    def _mind_the_client(self) -> None:
        waiting = len(self._waiting) if self._waiting is not None else 0
        if not self._paused:
            if self._held or waiting > MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
                self._paused = True
                self._speaker.pause()
        elif (
            not self._held
            and waiting <= MAX_WAITING // 2
            and self._waiting_bytes <= MAX_WAITING_BYTES // 2
        ):
            self._paused = False
            self._speaker.resume()

    # -- answers -------------------------------------------------------------------------------

    def _answered(
        self, operation: Operation, node: Node, reply: bytes, status: RpcStatus | None
    ) -> None:
        del self._flying[operation]
        if status is None:
            self._lanes.nodes.answered(node)
            operation.finish(reply)
        else:
            self._refused(operation, node, status)
        if not self._flying and self._failed:
            failed, self._failed = self._failed, None
            for one in reversed(failed):
                self._put_first(one)
        if self._waiting and not self._held:
            self._pump()
        self._end_if_empty()

    def _refused(self, operation: Operation, node: Node, status: RpcStatus) -> None:
        if is_unavailable(status):
            slow = status.code == StatusCode.DEADLINE_EXCEEDED
            self._lanes.nodes.failed(node, broken=not slow)
            self._speaker.node_failed(node)
            self._failed_at(operation, node, status)
            return
        self._lanes.nodes.answered(node)
        target = redirect_target(status)
        if target is not None and not operation.redirected:
            operation.redirected = True
            operation.target = target
            self._speaker.node_failed(node)
            self._speaker.redirected(target)
            self._keep(operation)
        elif is_key_unregistered(status):
            operation.finish(b"", KeyUnknown("the session service does not know the key"))
        else:
            operation.finish(b"", BackendRefused(status.code, status.details))

    def _failed_at(self, operation: Operation, node: Node, status: RpcStatus) -> None:
        if status.code == StatusCode.DEADLINE_EXCEEDED:
            operation.sends += 1
        if operation.method is Method.SEND_DATA and operation.sends >= MAX_SENDS:
            # It may have arrived twice already.
            self._lanes.hold.lost.count("not_acknowledged")
            operation.finish(b"", BackendUnavailable("no session node has acknowledged it"))
            self._speaker.lost("not_acknowledged")
            return
        if operation.tried is None:
            operation.tried = set()
        operation.tried.add(node.address)
        if operation.method is not Method.CLOSE_SESSION:
            # The ring decides again; only a session's end is nobody else's business.
            operation.target = ""
        self._keep(operation)

    def _keep(self, operation: Operation) -> None:
        """Let an operation go again; an announcement is made anew by what it stood before."""
        if operation.method is Method.CREATE_SESSION:
            operation.finish(b"")
            return
        if self._failed is None:
            self._failed = []
        self._failed.append(operation)

    def _end_if_empty(self) -> None:
        self._mind_the_client()
        if self.empty:
            self._speaker.drained()
