"""How long the answer to an HTTP request may be held back, told from the message in it.

Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
"""

from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.mtproto.message import payload_body
from gnetway.tl.constructors import Constructor
from gnetway.tl.service_messages import ContainedMessage, HttpWait, parse_container
from gnetway.tl.unwrap import UnwrapBudget, UnwrapLimits, first_bytes, unwrap

_CONSTRUCTOR_BYTES: Final = 4

#: What is unpacked if it is compressed.
_LOOKED_INTO: Final = frozenset(
    {
        Constructor.GZIP_PACKED,
        Constructor.MSG_CONTAINER,
        Constructor.HTTP_WAIT,
        Constructor.MSGS_ACK,
    }
)


class HttpWants(NamedTuple):
    """What a request says of its answer.

    ``wait`` is its http_wait, None where it has none. ``asks``: there is something besides
    http_wait and acknowledgements, which the backend may answer. ``odd_waits`` has the msg_id of
    each http_wait that its client wants acknowledged, by an odd seq_no.
    """

    wait: HttpWait | None
    asks: bool
    odd_waits: tuple[int, ...] = ()

    @property
    def only_acks(self) -> bool:
        """Whether there is nothing in it that anything could answer."""
        return self.wait is None and not self.asks


def read_http_wants(payload: bytes, limits: UnwrapLimits) -> HttpWants:
    """Look for http_wait in a message; ``payload`` is msg_id, seq_no, length, body, padding.

    Only a container is opened, and the compression around it: a request to wait stands alone or
    among others, never inside a call. What cannot be read within ``limits`` says nothing; the
    session backend will judge it.
    """
    msg_id = int.from_bytes(payload[:8], "little", signed=True)
    seq_no = int.from_bytes(payload[8:12], "little")
    try:
        return _read(ContainedMessage(msg_id, seq_no, payload_body(payload)), limits)
    except TLError:
        return HttpWants(None, asks=True)


def _read(message: ContainedMessage, limits: UnwrapLimits) -> HttpWants:
    msg_id, seq_no, body = message
    if _constructor(body) == Constructor.GZIP_PACKED:
        if _constructor(first_bytes(body, _CONSTRUCTOR_BYTES)) not in _LOOKED_INTO:
            # A compressed call, which may be large: nothing in it matters here.
            return HttpWants(None, asks=True)
        body = unwrap(body, UnwrapBudget(limits.for_a_look())).body
    if _constructor(body) != Constructor.MSG_CONTAINER:
        return _sum_up([ContainedMessage(msg_id, seq_no, body)])
    return _sum_up(parse_container(body, limits.max_messages))


def _sum_up(messages: list[ContainedMessage]) -> HttpWants:
    wait: HttpWait | None = None
    asks = False
    odd_waits: list[int] = []
    for msg_id, seq_no, body in messages:
        constructor = _constructor(body)
        if constructor == Constructor.HTTP_WAIT:
            wait = HttpWait.parse(body)
            if seq_no & 1:
                odd_waits.append(msg_id)
        elif constructor != Constructor.MSGS_ACK:
            asks = True
    return HttpWants(wait, asks, tuple(odd_waits))


def _constructor(body: bytes) -> int:
    return int.from_bytes(body[:_CONSTRUCTOR_BYTES], "little")
