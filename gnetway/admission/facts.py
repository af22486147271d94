"""What is known of one connection at one moment, by whoever serves it then."""

from typing import NamedTuple

from gnetway.ends import Phase, Stage
from gnetway.tl.client_info import ClientInfo


class Facts(NamedTuple):
    """What serves a connection says of it.

    ``transport`` is the client's, as ``obfuscated intermediate`` or ``websocket, ...``; ``client``
    is what it has said of itself, and nobody has proved. ``pending_bytes`` wait in the gateway to
    be sent; of ``keys`` and ``sessions`` there are only numbers.
    """

    stage: Stage
    phase: Phase
    client_ip: str
    transport: str = ""
    client: ClientInfo | None = None
    messages_in: int = 0
    messages_out: int = 0
    quick_acks: int = 0
    pending_bytes: int = 0
    keys: int = 0
    sessions: int = 0


class End(NamedTuple):
    """The end of a connection, as it was decided.

    ``at`` is in the seconds of the clock that only goes on; ``detail`` says more of the cause, and
    never has a secret.
    """

    cause: str
    at: float
    facts: Facts
    detail: str = ""
