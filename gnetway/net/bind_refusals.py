"""When a bind is refused, and how soon the client hears of it.

Android and Desktop throw their permanent key away at a refused bind, so it takes a proof; and they
try again at once, so each refusal in a row for a key takes longer, and the last is a close.
"""

from typing import Final

from gnetway.errors import BackendError, BackendRefused, KeyUnknown

#: How many refusals in a row a temporary key is told; the next one closes the connection.
MAX_REFUSALS: Final = 5

#: The second refusal waits so long, in seconds, each one after it twice as long as the last.
_FIRST_DELAY_SECONDS: Final = 0.25

_BAD_REQUEST: Final = 400


def refuses_bind(error: BackendError) -> bool:
    """Return whether the backend has judged a bind, rather than failed at it."""
    if isinstance(error, BackendRefused):
        # grpcio shows numbers above 16 as UNKNOWN: there the text has to say it.
        return error.code == _BAD_REQUEST or "ENCRYPTED_MESSAGE_INVALID" in error.text
    return isinstance(error, KeyUnknown)


def refusal_delay(refused_binds: int) -> float:
    """Return after how many seconds to tell the refusal that is that many in a row."""
    if refused_binds <= 1:
        return 0.0
    return _FIRST_DELAY_SECONDS * 2.0 ** (min(refused_binds, MAX_REFUSALS) - 2)
