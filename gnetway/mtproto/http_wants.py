"""How long the answer to an HTTP request may be held back, told from the message in it.

Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
"""

from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.service_messages import HttpWait, parse_container
from gnetway.tl.unwrap import UnwrapBudget, UnwrapLimits, unwrap

#: msg_id, seq_no and length stand before the body in a payload.
_BODY_OFFSET: Final = 16

_CONSTRUCTOR_BYTES: Final = 4


class HttpWants(NamedTuple):
    """What a request says of its answer.

    ``wait`` is its http_wait, None where it has none. ``asks``: there is something besides
    http_wait and acknowledgements, which the backend may answer.
    """

    wait: HttpWait | None
    asks: bool

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
    length = int.from_bytes(payload[12:_BODY_OFFSET], "little")
    try:
        return _read(payload[_BODY_OFFSET : _BODY_OFFSET + length], limits)
    except TLError:
        return HttpWants(None, asks=True)


def _read(body: bytes, limits: UnwrapLimits) -> HttpWants:
    if _constructor(body) == Constructor.GZIP_PACKED:
        body = unwrap(body, UnwrapBudget(limits)).body
    if _constructor(body) != Constructor.MSG_CONTAINER:
        return _sum_up([body])
    return _sum_up([one.body for one in parse_container(body, limits.max_messages)])


def _sum_up(bodies: list[bytes]) -> HttpWants:
    wait: HttpWait | None = None
    asks = False
    for body in bodies:
        constructor = _constructor(body)
        if constructor == Constructor.HTTP_WAIT:
            wait = HttpWait.parse(body)
        elif constructor != Constructor.MSGS_ACK:
            asks = True
    return HttpWants(wait, asks)


def _constructor(body: bytes) -> int:
    return int.from_bytes(body[:_CONSTRUCTOR_BYTES], "little")
