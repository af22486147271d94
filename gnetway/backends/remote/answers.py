"""Who hears what session nodes answer."""

from collections.abc import Sequence
from typing import Protocol

from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Request
from gnetway.rpc.status import RpcStatus


class Answers(Protocol):
    """Hears the end of each request once, and never before ``send`` has returned."""

    def answered(self, request: Request, reply: bytes) -> None:
        """Take a reply."""

    def failed(self, request: Request, status: RpcStatus, sent: bool) -> None:
        """Take a failure; ``sent`` is whether the node may have got the request."""

    def stream_ended(
        self,
        node: Node,
        status: RpcStatus,
        unanswered: Sequence[tuple[Request, bool]],
        silent: bool,
    ) -> None:
        """Take the end of a stream and what it left unanswered: the request, and whether sent."""
