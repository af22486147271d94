"""What becomes of a request that a session node has not done: whose fault it is, and what is next.

status                                  whose fault     what is next
CANCELLED, UNAVAILABLE                  the connection  again, elsewhere; one strike
DEADLINE_EXCEEDED                       a slow node     again, elsewhere; one strike
UNIMPLEMENTED, PERMISSION_DENIED,
UNAUTHENTICATED                         the node        again, elsewhere; the breaker opens
RESOURCE_EXHAUSTED, INVALID_ARGUMENT,
OUT_OF_RANGE, INTERNAL                  the message     fails; all others of its stream go again
AUTH_KEY_UNREGISTERED (401, or text)    the key         fails; the key is looked for no more
REDIRECT_TO_host:port (700, or text)    nobody          again, there
any other, e.g. UNKNOWN "overloaded"    nobody          fails

Data that may have come to a node twice does not go again: who sent it is told so.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from gnetway.dispatch.method import Method
from gnetway.dispatch.request import Request
from gnetway.rpc.status import RpcStatus, StatusCode, is_key_unregistered, redirect_target

#: How often data is sent that nodes may have got without answering: once more.
MAX_SENDS: Final = 2
_LIMITED: Final = frozenset({Method.SEND_DATA, Method.SEND_HTTP_DATA})


class Fault(Enum):
    """Whose fault a status is."""

    NOBODY = "nobody"
    MESSAGE = "the message"
    CONNECTION = "the connection"
    SLOW_NODE = "a slow node"
    NODE = "the node"
    KEY = "the key"


class Next(Enum):
    """What is next for the request."""

    AGAIN = "again, elsewhere"
    FOLLOW = "again, where the redirect leads"
    FAIL = "fails"


class Decision(NamedTuple):
    """Whose fault it is, and what is next."""

    fault: Fault
    next: Next


BROKEN: Final = Decision(Fault.CONNECTION, Next.AGAIN)
#: What became of a message because of another one: it goes again, to the same node.
INNOCENT: Final = Decision(Fault.NOBODY, Next.AGAIN)
# CANCELLED is what the calls of a node get that stops: a call cancelled on our side tells nobody.
_TABLE: Final = {
    StatusCode.CANCELLED: BROKEN,
    StatusCode.UNAVAILABLE: BROKEN,
    StatusCode.DEADLINE_EXCEEDED: Decision(Fault.SLOW_NODE, Next.AGAIN),
    StatusCode.UNIMPLEMENTED: Decision(Fault.NODE, Next.AGAIN),
    StatusCode.PERMISSION_DENIED: Decision(Fault.NODE, Next.AGAIN),
    StatusCode.UNAUTHENTICATED: Decision(Fault.NODE, Next.AGAIN),
    StatusCode.RESOURCE_EXHAUSTED: Decision(Fault.MESSAGE, Next.FAIL),
    StatusCode.INVALID_ARGUMENT: Decision(Fault.MESSAGE, Next.FAIL),
    StatusCode.OUT_OF_RANGE: Decision(Fault.MESSAGE, Next.FAIL),
    StatusCode.INTERNAL: Decision(Fault.MESSAGE, Next.FAIL),
}
_BY_NUMBER: Final = {code.value: decision for code, decision in _TABLE.items()}
_REFUSED: Final = Decision(Fault.NOBODY, Next.FAIL)
_KEY_UNKNOWN: Final = Decision(Fault.KEY, Next.FAIL)
_REDIRECTED: Final = Decision(Fault.NOBODY, Next.FOLLOW)
_NOT_SERVED: Final = Decision(Fault.MESSAGE, Next.FAIL)


def decide(status: RpcStatus, method: Method) -> Decision:
    """Return whose fault the status of one request is, and what is next for it."""
    if redirect_target(status) is not None:
        return _REDIRECTED
    if is_key_unregistered(status):
        return _KEY_UNKNOWN
    if status.code == StatusCode.UNIMPLEMENTED and method is Method.SEND_HTTP_DATA:
        # Older services lack this one method; that says nothing about the rest.
        return _NOT_SERVED
    return _BY_NUMBER.get(status.code, _REFUSED)


def decide_stream(status: RpcStatus) -> Decision:
    """Return whose fault the end of a stream is, and what is next for what it left unanswered.

    A stream that ends in any other way than by the node's or a message's fault is a connection
    that has broken.
    """
    decision = _BY_NUMBER.get(status.code, BROKEN)
    if decision.fault is Fault.MESSAGE and status.code == StatusCode.INTERNAL:
        # Streams that are reset by peers and proxies end with INTERNAL too.
        unreadable = any(word in status.details for word in _UNREADABLE)
        return decision if unreadable else BROKEN
    return decision


#: What gRPC's implementations say when they cannot read a message: "failed to unmarshal the
#: received message", "error unmarshalling request", "Error parsing request", "deserializing
#: request".
_UNREADABLE: Final = ("unmarshal", "parsing", "deserializing")


def culprit(status: RpcStatus, unanswered: Sequence[Request]) -> Request | None:
    """Return which of the unanswered requests, oldest first, has ended the stream by its fault.

    A message over a node's limit is the largest, and of the largest the one that came first.
    One that cannot be read is the oldest: nodes answer in order.
    """
    if not unanswered:
        return None
    if status.code in {StatusCode.RESOURCE_EXHAUSTED, StatusCode.OUT_OF_RANGE}:
        return max(unanswered, key=lambda request: request.size)
    return unanswered[0]


def may_go_again(request: Request) -> bool:
    """Return whether a request may be sent once more, by how often nodes may have got it."""
    return request.method not in _LIMITED or request.sends < MAX_SENDS
