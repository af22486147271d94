"""A gateway with a link of an unbound key, and what may become of its bind."""

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.interfaces import SessionClient
from gnetway.testing import ClientSession
from gnetway.tl.service_messages import RpcErrorObject
from tests.binds import next_bind
from tests.connection.wrappers import PERM, temp_key
from tests.fakes import Sent, some_key
from tests.net.gateway import Gateway, TcpLink

REFUSED = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID").pack()
OTHER = some_key(60)
#: What a backend says that has judged a bind.
REFUSALS = (
    KeyUnknown("401"),
    BackendRefused(400, "NO"),
    BackendRefused(2, "rpc error: ENCRYPTED_MESSAGE_INVALID"),
)
#: What a backend says that has failed.
FAULTS = (
    BackendUnavailable("down"),
    BackendRefused(2, "unknown"),
    BackendRefused(8, "exhausted"),
    BackendRefused(13, "internal"),
    BackendRefused(500, "INTERNAL"),
    BackendRefused(500, "BOOL_FALSE"),
    BackendRefused(401, "AUTH_KEY_UNREGISTERED"),
)


def connect(
    *keys: AuthKey, greeted: bool = True, perm: bool = True
) -> tuple[Gateway, TcpLink, ClientSession]:
    """Return a gateway, a link and a session of an unbound key, the first of ``keys``."""
    known = keys or (temp_key(),)
    gateway = Gateway()
    gateway.knows(*known)
    if perm:
        gateway.knows(PERM)
    link = gateway.connect()
    session = link.session(known[0])
    if greeted:
        known[0].greeted_session_id = session.session_id
    return gateway, link, session


def say_bind(link: TcpLink, session: ClientSession, quick_ack: bool = False) -> int:
    """Send a good bind; return its msg_id."""
    link.say(session, next_bind(session, PERM, link.now).pack(), quick_ack)
    return session.msg_id


def decide(sent: Sent, error: BackendError | None) -> None:
    assert sent.done is not None
    sent.done(error)


def note_name(names: list[int], client: SessionClient) -> None:
    """Keep the permanent key in whose name a session is opened or closed."""
    names.append(client.key.perm_auth_key_id)
