"""The sending half of a client link: what leaves when, and what becomes of what cannot leave.

What the backend sends leaves at the end of the reactor's turn, all of a turn in one write, or as
soon as there is much of it, so that the carrier may say that the client does not read. What
comes of reading the client leaves when that was read. While the client does not read, it stays
in the core and is counted, and when that is too much, the link ends.
"""

from enum import Enum
from typing import Final

from gnetway.connection.connection import Connection
from gnetway.crypto.auth_key import AuthKey
from gnetway.net.carrier import Carrier
from gnetway.net.links import LinkServices
from gnetway.net.unsent import Backlog

#: So much is joined into one write; longer messages leave one by one, as to copy them costs more.
JOIN_BYTES: Final = 64 * 1024


class LinkState(Enum):
    """How far a link has come; it only ever moves on."""

    OPEN = "open"
    #: The end has been decided; what was written may still leave.
    ENDING = "ending"
    LOST = "lost"


#: Looked up once: enums are slow to look up what they have, and each message asks for this.
OPEN: Final = LinkState.OPEN


class LinkOutput:
    """The part of a link that writes; ``_backlog`` is there while the client does not read."""

    __slots__ = (
        "_backlog",
        "_carrier",
        "_connection",
        "_flush_due",
        "_owed_token",
        "_pumping",
        "_services",
        "_state",
    )

    def __init__(self, services: LinkServices, carrier: Carrier, client_ip: str) -> None:
        self._services = services
        self._carrier = carrier
        self._connection = Connection(services.setup, address=client_ip)
        self._state = OPEN
        #: Whether the client's bytes are being read, at the end of which all is written.
        self._pumping = False
        #: Whether the end of this turn will write.
        self._flush_due = False
        self._backlog: Backlog | None = None
        #: The quick ack of the message that the backend is being handed, 0 for none. It leaves in
        #: front of an answer that comes at once, but not before the backend has the message.
        self._owed_token = 0

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        """Encrypt and send a message of the backend; True where it is written, or waits to be.

        False on a link that ends, maybe by it.
        """
        if self._state is not OPEN:
            return False
        connection = self._connection
        if self._owed_token:
            self._send_owed_ack()
        connection.send_message(key, plaintext)
        if not self._pumping:
            if self._backlog is not None or connection.unsent_bytes >= JOIN_BYTES:
                self._flush()
            elif not self._flush_due:
                self._flush_due = True
                self._services.turn_end.call(self._turn_ended)
        return self._state is OPEN

    def _send_owed_ack(self) -> None:
        token, self._owed_token = self._owed_token, 0
        self._connection.send_quick_ack(token)

    def _turn_ended(self) -> None:
        self._flush_due = False
        if self._state is OPEN:
            self._flush()

    def _flush(self) -> None:
        """Write what there is, until the client does not read; then count it."""
        connection = self._connection
        written = 0
        while self._backlog is None:
            waiting = connection.unsent_bytes
            if not waiting:
                return
            packets = connection.packets_to_send(JOIN_BYTES)
            written += waiting - connection.unsent_bytes
            self._carrier.write(packets)
        if written:
            # It came with this, which therefore is what the client does not read.
            self._backlog.written(written)
        if connection.unsent_bytes or not written:
            self._count_backlog(self._backlog)

    def _begin_backlog(self) -> None:
        if self._backlog is None:
            self._backlog = Backlog(self._services.unsent)

    def _count_backlog(self, backlog: Backlog) -> None:
        unsent_bytes = self._connection.unsent_bytes
        backlog.waits(unsent_bytes)
        if unsent_bytes > self._services.limits.max_unsent_bytes:
            self._abort("slow_reader")
        elif self._services.unsent.is_over:
            self._abort("slow_reader_total")

    def _clear_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.clear()

    def _abort(self, cause: str) -> None:
        self._services.causes.count(cause)
        self._state = LinkState.ENDING
        self._carrier.abort()
