"""What becomes of an operation that a node has not done.

what the node said            the operation
nothing: down, or too slow    goes again, elsewhere; unless two nodes may have had it
a redirect                    goes again, there; unless another redirect led here
any other status              fails
"""

from typing import Final

from gnetway.errors import BackendRefused, BackendUnavailable, GatewayError, KeyUnknown
from gnetway.rpc.status import (
    RpcStatus,
    StatusCode,
    is_key_unregistered,
    is_unavailable,
    redirect_target,
)
from gnetway.session.method import Method
from gnetway.session.nodes import Node, NodeTable
from gnetway.session.operation import Operation
from gnetway.session.speaker import Speaker

#: How often a message is sent that nodes may have got without answering: once more.
MAX_SENDS: Final = 2
_LIMITED: Final = frozenset({Method.SEND_DATA, Method.SEND_HTTP_DATA})


def judge(
    nodes: NodeTable, speaker: Speaker, operation: Operation, node: Node, status: RpcStatus
) -> GatewayError | None:
    """Return what an operation fails with, None where it is to go again.

    Where to is noted in it; the table and its speaker hear what this says of the node.
    """
    if is_unavailable(status):
        nodes.failed(node, broken=status.code != StatusCode.DEADLINE_EXCEEDED)
        return _unanswered(speaker, operation, node)
    nodes.answered(node)
    target = redirect_target(status)
    if target is not None and _follow(nodes, speaker, operation, node, target):
        operation.uncertain = False
        speaker.not_done(operation, node)
        return None
    if operation.method is Method.SEND_DATA:
        # Whether it has announced its session all the same is the service's secret.
        operation.uncertain = target is None
        speaker.not_done(operation, node)
    if is_key_unregistered(status):
        return KeyUnknown("the session service does not know the key")
    return BackendRefused(status.code, status.details)


def _unanswered(speaker: Speaker, operation: Operation, node: Node) -> GatewayError | None:
    if operation.uncertain:
        operation.sends += 1
    speaker.not_done(operation, node)
    decided = operation.behalf or operation
    decided.failed_by(node.address)
    decided.target = ""
    if operation.method in _LIMITED and operation.sends >= MAX_SENDS:
        # It may have arrived twice already.
        return BackendUnavailable("no session node has acknowledged it")
    return None


def _follow(
    nodes: NodeTable, speaker: Speaker, operation: Operation, node: Node, target: str
) -> bool:
    """Follow a redirect, unless it comes from where another one led to."""
    decided = operation.behalf or operation
    if decided.redirected_to == node.address or not speaker.redirected(target):
        return False
    decided.redirected_to = target
    if (decided.tried and target in decided.tried) or nodes.busy(target):
        # The key's own node is down, so this one is no better than one that is down.
        decided.failed_by(node.address)
        decided.target = ""
        speaker.unreachable(target)
    else:
        decided.target = target
    return True
