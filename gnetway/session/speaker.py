"""What a lane asks of those whose operations it carries."""

from typing import Protocol

from gnetway.session.nodes import Node
from gnetway.session.operation import Operation


class Speaker(Protocol):
    """Whose operations a lane carries: a session, its end at a node, or a single request.

    ``at`` is the node that it talks to, where it is to be the same one for many operations.
    """

    at: Node | None

    def straight(self, operation: Operation) -> bytes:
        """Return the bytes of an operation for ``at`` if nothing else is to be decided.

        Empty where it is, by ``target_for``, the node table and ``prepare``, or may be.
        """

    def target_for(self, operation: Operation) -> str | None:
        """Return the node an operation is for, empty where the ring decides.

        None where nobody needs to hear of it any more.
        """

    def redirected(self, target: str) -> bool:
        """Hear that another node is the one to talk to; return whether to go there."""

    def prepare(self, operation: Operation, node: Node) -> bytes | Operation | None:
        """Return the bytes of an operation for that node.

        Or an operation that the node must hear before it; or None, where the node must not hear
        it yet: then another one may, or ``go_on`` of the lane is called later.
        """

    def not_done(self, operation: Operation, node: Node | None) -> None:
        """Hear that ``node`` did not do what was prepared; None: that it was sent to none.

        ``operation.uncertain`` is whether it may have done it all the same.
        """

    def unreachable(self, address: str) -> None:
        """Hear that a node is not to be talked to for now."""

    def hand_over(self, operation: Operation) -> bool:
        """Take over the end of a session whose node takes nothing now; False: the lane waits."""

    def pause(self) -> None:
        """Read no more from the client until ``resume``."""

    def resume(self) -> None:
        """Read again."""

    def lost(self, cause: str) -> None:
        """Hear that operations were given up."""

    def drained(self) -> None:
        """Hear that nothing is left; the lane may be forgotten."""
