"""What keeps the messages of one session in order on their way to the session nodes.

    waiting → flying → answered
       ↑         │ node down, or redirect
       └ failed ─┘   (in their old order, when nothing flies any more)

By unary calls one operation flies at a time, since calls may overtake each other; by stream any
number, as a stream keeps order, but all to one node. Once something has failed nothing new starts
until all that flew is answered, so what failed goes again before what came after it.
"""

from operator import attrgetter
from typing import Final

from gnetway.errors import BackendRefused, BackendUnavailable
from gnetway.rpc.status import RpcStatus
from gnetway.session.hold import Hold
from gnetway.session.judge import judge
from gnetway.session.method import Method
from gnetway.session.nodes import Health, Node, NodeTable
from gnetway.session.operation import Operation
from gnetway.session.speaker import Speaker
from gnetway.session.waiting import Waiting

#: Above so many waiting operations, or bytes of them, the client is not read any further; it is
#: again below half of both.
MAX_WAITING: Final = 64
MAX_WAITING_BYTES: Final = 1024 * 1024

_ON_TRIAL: Final = Health.ON_TRIAL  # once: enums are slow to look up what they have

_by_order = attrgetter("order")


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
        "_pumping",
        "_pushed",
        "_speaker",
        "_waiting",
        "paused",
    )

    def __init__(self, lanes: Lanes, speaker: Speaker, patient: bool = True) -> None:
        self._lanes = lanes
        self._speaker = speaker
        self._patient = patient
        self._pushed = 0
        self._waiting = Waiting()
        self._flying = 0
        self._flying_to: Node | None = None
        #: Not None from a failure until nothing flies; what is to go again.
        self._failed: list[Operation] | None = None
        self._held = False
        self._pumping = False
        #: Whether the client is not read now.
        self.paused = False

    # -- in ------------------------------------------------------------------------------------

    def push(self, operation: Operation) -> None:
        """Add an operation behind all others."""
        operation.order = self._pushed
        self._pushed += 1
        if (
            not self._waiting.row  # "is None" would hold it to that below, if compiled
            and self._failed is None
            and self._flying < self._lanes.window
            and not self._held
            and not self._pumping
            and self._sent_straight(operation)
        ):
            if not self._flying or self._waiting.row:
                self._settle()
            return
        self._waiting.append(operation)
        if self._held:
            self._hold_too(operation)
            self._settle()
        elif self._flying >= self._lanes.window:
            self._settle()
        else:
            self._pump()

    def withdraw(self, operation: Operation) -> None:
        """Forget an operation that nobody asks for any more."""
        operation.finished = None
        operation.withdrawn = True
        if self._waiting.remove(operation):
            if self._held:
                self._lanes.hold.remove(self, operation.size)
            if not self._waiting:
                self._leave_hold()
            self._settle()

    # -- out -----------------------------------------------------------------------------------

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        waiting, window = self._waiting, self._lanes.window
        try:
            while (
                waiting.row is not None
                and self._failed is None
                and not self._held
                and self._flying < window
                and self._start(waiting.row[0])
            ):
                pass
        finally:
            self._pumping = False
        self._settle()

    def _sent_straight(self, operation: Operation) -> bool:
        """Send an operation where the one before it went, if nothing has changed since."""
        speaker = self._speaker
        node = speaker.at
        if node is None or (self._flying and node is not self._flying_to):
            return False
        request = speaker.straight(operation)
        if not request:
            return False
        if self._waiting.row is not None:
            self._waiting.take_first()
        self._send(operation, node, request)
        return True

    def _start(self, operation: Operation) -> bool:
        """Send the first waiting operation; False where it has to wait for an answer."""
        if self._sent_straight(operation):
            return True
        target = operation.target or self._speaker.target_for(operation)
        if target is None:
            self._waiting.take_first()
            operation.finish(b"")
            return True
        node = self._lanes.nodes.choose(operation, target)
        if node is None:
            return self._no_node(operation, target)
        if self._flying and node is not self._flying_to:
            # Two nodes do not keep each other's order: the next one waits for the last answer.
            return False
        request = self._speaker.prepare(operation, node)
        if isinstance(request, bytes):
            self._waiting.take_first()
            self._send(operation, node, request)
            return True
        if request is not None:
            self._waiting.put_first(request)
            return True
        if self._flying:
            return False
        operation.failed_by(node.address)
        return True

    def _send(self, operation: Operation, node: Node, request: bytes) -> None:
        self._flying += 1
        self._flying_to = node
        if node.health is _ON_TRIAL:
            node.trying = True
        try:
            if node.link.perform(operation, request, self._answered):
                return
        except RpcStatus as status:
            self._not_sent(operation, node)
            operation.finish(b"", BackendRefused(status.code, status.details))
            return
        self._not_sent(operation, node)
        if operation.behalf is None:
            self._waiting.put_first(operation)
        self._wait(for_room=True)

    def _not_sent(self, operation: Operation, node: Node) -> None:
        self._flying -= 1
        node.trying = False
        operation.uncertain = False
        self._speaker.not_done(operation, None)

    def _no_node(self, operation: Operation, target: str) -> bool:
        """Find another way for the first operation, or let it wait for a node."""
        if operation.behalf is not None:
            # What it was to prepare may go elsewhere, and makes its own preparations there.
            self._waiting.take_first()
            self._speaker.not_done(operation, None)
            operation.finish(b"")
            return True
        if self._flying:
            return False
        if operation.method is Method.CLOSE_SESSION:
            if self._speaker.hand_over(operation):
                self._waiting.take_first()
                return True
        elif target:
            self._speaker.unreachable(target)
            operation.failed_by(target)
            operation.target = ""
            return True
        for one in self._waiting:
            one.tried = None
            one.redirected_to = ""
        self._wait(for_room=False)
        return True

    # -- waiting for a node --------------------------------------------------------------------

    def _wait(self, for_room: bool) -> None:
        """Stop in the hold; everything that waits needs room there."""
        first = self._waiting.first
        if not self._patient:
            self._waiting.take_first()
            first.finish(b"", BackendUnavailable("no session node answers"))
            return
        hold = self._lanes.hold
        if first.held_since is None:
            first.held_since = hold.now()
        self._held = True
        if not hold.stop(self, first.held_since, for_room):
            self.give_up("stopped")
            return
        for operation in list(self._waiting):
            if self._held:
                self._hold_too(operation)

    def _hold_too(self, operation: Operation) -> None:
        if operation.held_since is None:
            operation.held_since = self._lanes.hold.now()
        if not self._lanes.hold.add(self, operation.size):
            self.give_up("hold_full")

    def go_on(self) -> None:
        """Try again: a node may take what waits."""
        self._leave_hold()
        self._pump()

    def give_up(self, cause: str) -> None:
        """Fail everything that waits; only ends of sessions are still told, where possible."""
        self._leave_hold()
        lost = False
        for operation in self._waiting.take_all():
            if operation.method is Method.CLOSE_SESSION:
                if not self._speaker.hand_over(operation):
                    operation.finish(b"")
                continue
            lost = True
            self._lanes.hold.lost.count(cause)
            self._speaker.not_done(operation, None)
            operation.finish(b"", BackendUnavailable("the session service did not answer in time"))
        if lost:
            self._speaker.lost(cause)
        self._pump()

    def _leave_hold(self) -> None:
        self._held = False
        self._lanes.hold.leave(self)

    def _settle(self) -> None:
        """Mind the client, and tell the speaker where nothing is left."""
        row, size = self._waiting.row, self._waiting.size
        waiting = 0 if row is None else len(row)
        if not self.paused:
            if self._held or waiting > MAX_WAITING or size > MAX_WAITING_BYTES:
                self.paused = True
                self._speaker.pause()
        elif not self._held and waiting <= MAX_WAITING // 2 and size <= MAX_WAITING_BYTES // 2:
            self.paused = False
            self._speaker.resume()
        if waiting == 0 and not self._flying and not self._failed:
            self._speaker.drained()

    # -- answers -------------------------------------------------------------------------------

    def _answered(
        self, operation: Operation, node: Node, reply: bytes, status: RpcStatus | None
    ) -> None:
        self._flying -= 1
        if status is None:
            if node.strikes:
                self._lanes.nodes.answered(node)
            finished, operation.finished = operation.finished, None
            if finished is not None:
                finished(reply, None)
        else:
            self._refused(operation, node, status)
        if self._failed is not None and not self._flying:
            self._put_back()
        if self._held:
            self._settle()
        elif self._waiting.row is not None or self._failed is not None or self.paused:
            self._pump()
        elif not self._flying and not self._pumping:
            self._speaker.drained()

    def _put_back(self) -> None:
        """Let what failed wait again, before what came after it."""
        failed, self._failed = self._failed, None
        # Answers may come in any order, even where requests do not.
        for operation in sorted(failed or (), key=_by_order, reverse=True):
            if operation.withdrawn:
                continue
            self._waiting.put_first(operation)
            if self._held:
                self._hold_too(operation)

    def _refused(self, operation: Operation, node: Node, status: RpcStatus) -> None:
        error = judge(self._lanes.nodes, self._speaker, operation, node, status)
        if error is None:
            self._keep(operation)
        elif isinstance(error, BackendUnavailable):
            operation.withdrawn = True
            self._keep(operation)
            self._lanes.hold.lost.count("not_acknowledged")
            operation.finish(b"", error)
            self._speaker.lost("not_acknowledged")
        else:
            operation.finish(b"", error)

    def _keep(self, operation: Operation) -> None:
        """Let an operation go again, if it still may, behind nothing that comes after it.

        Preparations are made anew by what they are for.
        """
        if self._failed is None:
            self._failed = []
        if operation.behalf is not None:
            operation.finish(b"")
        elif not operation.withdrawn:
            self._failed.append(operation)
