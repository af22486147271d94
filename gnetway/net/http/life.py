"""How far an HTTP connection has come, when it is late for that, and what a request may cost it.

    state        is late                                               and then

    IDLE         75 to 84 s after the last byte (75 s before the       closed
                 first)
    RECEIVING    likewise, or 120 s after the request's first byte     408, closed
    ANSWERING    90 s after the request was whole                      503
    ENDING       3 s after the last answer was written                 aborted

Every state may become ENDING or LOST; otherwise they follow one another in a circle.
"""

from enum import Enum
from typing import Final

from gnetway.admission.place import NO_PLACE, Facts, Place, Served
from gnetway.ends import Phase, Stage
from gnetway.net.http.sessions import HttpServices
from gnetway.net.link_services import LINGER_SECONDS

#: The cause of the end of a connection that HTTP, or the answer, lets go on no longer.
LAST_REQUEST: Final = "http_last_request"


class ChannelState(Enum):
    """What the connection is at."""

    #: Nothing of the next request is here.
    IDLE = "idle"
    #: A part of a request is here.
    RECEIVING = "receiving"
    #: A request is whole; what follows it is not looked at before its answer.
    ANSWERING = "answering"
    #: The end has been decided; what was written may still leave.
    ENDING = "ending"
    LOST = "lost"


#: Looked up once: enums are slow to look up what they have, and each request asks for these.
IDLE: Final = ChannelState.IDLE
RECEIVING: Final = ChannelState.RECEIVING
ANSWERING: Final = ChannelState.ANSWERING
_ENDS: Final = (ChannelState.ENDING, ChannelState.LOST)


class ChannelLife:
    """The state of one connection; ``deadline`` is in the clock's seconds.

    ``facts`` tell how far its requests have come, all of them together.
    """

    __slots__ = (
        "_cause",
        "_failure",
        "_idle_seconds",
        "_links",
        "_place",
        "_settings",
        "_whole_by",
        "deadline",
        "facts",
        "has_served",
        "state",
    )

    def __init__(self, services: HttpServices) -> None:
        self._links, self._settings = services.links, services.settings
        # Many that came at once are not to leave at once.
        self._idle_seconds = self._settings.idle_seconds + self._links.random_bytes(1)[0] % 10
        self._whole_by = 0.0
        #: Why the connection ends, as it was counted; empty while it was not.
        self._cause = ""
        self._place = NO_PLACE
        self.facts = Facts(Stage.TRANSPORT_KNOWN, Phase.TRANSPORT, "", "http")
        #: Why the last request has failed, and more of that; empty where it has not.
        self._failure = ("", "")
        self.state = ChannelState.IDLE
        self.deadline = self._links.clock.seconds() + self._settings.idle_seconds
        #: Whether a request was ever whole.
        self.has_served = False

    def begin(self, channel: Served, place: Place, client_ip: str) -> None:
        """The connection is made, and ``channel`` serves it."""
        place.serves(channel)
        self._place = place
        self.facts = self.facts._replace(client_ip=client_ip)

    @property
    def is_ending(self) -> bool:
        """Whether the end has been decided."""
        return self.state in _ENDS

    def bytes_came(self) -> None:
        """Move the deadline, as the client has sent something.

        While a request is answered it stays: what a client sends then does not speed the answer.
        """
        now = self._links.clock.seconds()
        if self.state is IDLE:
            self.state = RECEIVING
            self._whole_by = now + self._settings.request_seconds
        if self.state is RECEIVING:
            # A byte now and then keeps no request coming for ever.
            self.deadline = min(now + self._idle_seconds, self._whole_by)

    def request_whole(self) -> None:
        """A request is here whole, and will be answered."""
        self.has_served = True
        self.state = ANSWERING
        self.deadline = self._links.clock.seconds() + self._settings.answer_seconds

    def answered(self) -> None:
        """The request was answered, which may have been decided to be the last."""
        if not self.is_ending:
            self.state = IDLE
            self.move_deadline()

    def move_deadline(self) -> None:
        """Move the deadline as if something had come."""
        self.deadline = self._links.clock.seconds() + self._idle_seconds

    def end(self, cause: str) -> None:
        """The end is decided."""
        self.state = ChannelState.ENDING
        self.deadline = self._links.clock.seconds() + LINGER_SECONDS
        self.count(cause)

    def count(self, cause: str) -> None:
        """Count why the connection ends, once: what was found first has led to the rest."""
        if not self._cause:
            self._cause = cause
            records = self._links.records
            failed, detail = self._failure
            if failed and cause == LAST_REQUEST:
                # That is counted already, as the failure of the request.
                records.note_end(self._place, failed, self.facts, detail, is_counted=True)
            else:
                records.note_end(self._place, cause, self.facts)

    def note(self, facts: Facts, cause: str, detail: str) -> None:
        """Hear how far one request has come; ``cause`` is why it fails, empty where it does not."""
        before = self.facts
        self.facts = facts._replace(
            stage=max(facts.stage, before.stage),
            client=facts.client or before.client,
            messages_in=before.messages_in + facts.messages_in,
            messages_out=before.messages_out + facts.messages_out,
            keys=max(facts.keys, before.keys),
        )
        self._failure = (cause, detail)


#: Lines of a head: browsers send 25, and what stands before a gateway adds some. twisted.web takes
#: any number of the empty ones with which a field is continued.
MAX_HEAD_LINES: Final = 128

#: Bytes of a field's name: twisted.web keeps the first 10,000 that it sees, for ever.
MAX_NAME_BYTES: Final = 128

#: Digits that a Content-Length may have; int() raises on thousands of them.
_MAX_LENGTH_DIGITS: Final = 19

#: By how many bytes the framing of chunks may outweigh the body in them, and how much of them is
#: read before that is looked at: 700 of the smallest, 2 ms.
MAX_CHUNK_DEBT_BYTES: Final = 4 * 1024


class RequestBounds:
    """What the bytes of one request may cost beside the packet in them.

    Each method counts something that has come, and returns whether the request may go on.
    """

    __slots__ = ("_chunk_debt_bytes", "_lines")

    def __init__(self) -> None:
        self._lines = 0
        self._chunk_debt_bytes = 0

    def take_line(self) -> bool:
        """Count a line of the head."""
        self._lines += 1
        return self._lines <= MAX_HEAD_LINES

    def take_field(self, line: bytes) -> bool:
        """Look at a header field, before twisted.web does."""
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and len(value.strip()) > _MAX_LENGTH_DIGITS:
            return False
        return len(name) <= MAX_NAME_BYTES

    def take_chunks(self, size: int, body_bytes: int) -> bool:
        """Count bytes of a body in chunks, and what they had of the body itself.

        What a chunk carries pays for as much framing: a byte in each would be all framing.
        """
        self._chunk_debt_bytes += size - 2 * body_bytes
        return self._chunk_debt_bytes <= MAX_CHUNK_DEBT_BYTES
