"""MTProto over HTTP: what a request wants of its answer, and several messages made into one.

An HTTP answer carries one message, and may be held back as long as the client's http_wait
allows (long polling). What a request says of that is read here, nothing else of it.

What a session backend has for the client comes as numbered plaintexts. Where there are several, the
container around them gets a msg_id of its own, higher than all that it holds, and a seq_no that
says that it needs no acknowledgement. An rpc_error is the last of its container: some clients leave
one at its first error.

Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll and #simple-container
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple

from gnetway.errors import MessageError, TLError
from gnetway.mtproto.message import (
    HEADER_BYTES,
    MAX_AHEAD,
    MessageIdSource,
    pack_message,
    payload_body,
)
from gnetway.tl.primitives import Constructor, pack_int32, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    HttpWait,
    MsgsAck,
    pack_container,
    parse_container,
)
from gnetway.tl.unwrap import UnwrapBudget, UnwrapLimits, first_bytes, is_error_result, unwrap

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

#: Most messages in one container; some clients refuse 1024 and more.
MAX_CONTAINER_MESSAGES: Final = 1000

#: A container is closed before its bodies exceed this many bytes; a larger message goes alone.
MAX_CONTAINER_BYTES: Final = 512 * 1024

_HEADER: Final = Struct("<qqqii")
_CONTAINER: Final = pack_uint32(Constructor.MSG_CONTAINER)
_EMPTY_CONTAINER: Final = _CONTAINER + pack_int32(0)


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


def is_blank(plaintext: bytes) -> bool:
    """Return whether a plaintext tells nothing: an empty one, or an empty container."""
    return not plaintext or plaintext[HEADER_BYTES:].startswith(_EMPTY_CONTAINER)


class MessageJoiner:
    """Makes one plaintext of several, for one session; ``salt`` is the client's own at first."""

    __slots__ = ("_highest", "_last", "_msg_ids", "_salt", "_seq_no", "_session_id")

    def __init__(self, session_id: int, salt: int) -> None:
        self._session_id = session_id
        self._salt = salt
        self._msg_ids = MessageIdSource()
        #: The highest msg_id and seq_no that the backend has used, as far as its clock was not set
        #: back since.
        self._highest = 0
        self._seq_no = 0
        #: Our own last msg_id.
        self._last = 0

    def note(self, plaintext: bytes) -> None:
        """Take note of a plaintext that is to be sent, now or later.

        :raises MessageError: it is no message of this session.
        """
        if len(plaintext) < HEADER_BYTES:
            raise MessageError(f"a plaintext of {len(plaintext)} bytes")
        salt, session_id, msg_id, seq_no, length = _HEADER.unpack_from(plaintext)
        if session_id != self._session_id:
            raise MessageError("a plaintext of another session")
        if not 0 <= length <= len(plaintext) - HEADER_BYTES:
            raise MessageError(f"a plaintext that announces {length} bytes")
        self._salt = salt
        # A lower one is a late answer, unless it is lower by more than any clock is off: then the
        # backend's has been set back, and its msg_ids are followed.
        if not 0 <= self._highest - msg_id <= MAX_AHEAD:
            self._highest = msg_id
        self._seq_no = max(self._seq_no, seq_no)

    def cut(self, plaintext: bytes, now: float) -> list[bytes]:
        """Return what to send in the place of a plaintext that was noted: nearly always itself.

        A container in which something stands behind an error is cut behind each error. ``now`` is
        in Unix seconds.
        """
        if not plaintext.startswith(_CONTAINER, HEADER_BYTES):
            return [plaintext]
        cuts = _cut_behind_errors(_messages(plaintext))
        if len(cuts) < 2:
            return [plaintext]
        return [self._pack_container(cut, now) for cut in cuts]

    def join(self, plaintexts: Iterable[bytes], now: float) -> tuple[bytes, int]:
        """Return one plaintext for the first so many that have room in it, and how many.

        The first error ends it. Of one it is that one, of none see ``nothing``. ``now`` is in Unix
        seconds.
        """
        parts: list[ContainedMessage] = []
        first = b""
        size = taken = 0
        for plaintext in plaintexts:
            messages = _messages(plaintext)
            size += sum(len(message.body) for message in messages)
            many = len(parts) + len(messages) > MAX_CONTAINER_MESSAGES
            # The first goes whatever its size, or it would never go.
            if taken and (many or size > MAX_CONTAINER_BYTES):
                break
            first = first or plaintext
            parts += messages
            taken += 1
            if messages and is_error_result(messages[-1].body):
                break  # what stood behind it would be lost to some clients
        if not taken:
            return self.nothing((), now), 0
        if taken == 1:
            return first, 1
        return self._pack_container(parts, now), taken

    def nothing(self, odd_waits: Sequence[int], now: float) -> bytes:
        """Return a plaintext that tells nothing: the end of a long poll.

        That is an empty container, or where the client has numbered its http_wait as if it wanted
        an acknowledgement, just that. Web A does so; it acknowledges whatever is no msgs_ack, an
        empty container too, by a request with another http_wait, and so would never pause.
        """
        return self._pack(MsgsAck(list(odd_waits)).pack() if odd_waits else _EMPTY_CONTAINER, now)

    def _pack_container(self, messages: list[ContainedMessage], now: float) -> bytes:
        # Some may have waited since before the backend's clock was set back.
        highest = max([message.msg_id for message in messages])
        return self._pack(pack_container(messages), now, highest)

    def _pack(self, body: bytes, now: float, contained: int = 0) -> bytes:
        msg_id = self._msg_ids.next_id(now, response=False)
        above = max(self._highest, contained)
        if self._last - above <= MAX_AHEAD:
            above = max(above, self._last)
        if msg_id < above:
            # The backend's clock is ahead of ours. The two low bits, which name the sender, stay.
            msg_id += ((above - msg_id) | 3) + 1
        self._last = msg_id
        # Even, so that it wants no acknowledgement, and not below what was used.
        seq_no = self._seq_no + 1 & ~1
        return pack_message(self._salt, self._session_id, msg_id, seq_no, body)


def _messages(plaintext: bytes) -> list[ContainedMessage]:
    _, _, msg_id, seq_no, length = _HEADER.unpack_from(plaintext)
    body = plaintext[HEADER_BYTES : HEADER_BYTES + length]
    if body.startswith(_CONTAINER):
        try:
            return parse_container(body, MAX_CONTAINER_MESSAGES)
        except TLError:
            # Not ours to mend: it goes as it came, and the client judges it.
            pass
    return [ContainedMessage(msg_id, seq_no, body)]


def _cut_behind_errors(messages: list[ContainedMessage]) -> list[list[ContainedMessage]]:
    cuts: list[list[ContainedMessage]] = []
    behind_error = True
    for message in messages:
        if behind_error:
            cuts.append([])
        cuts[-1].append(message)
        behind_error = is_error_result(message.body)
    return cuts
