"""What Telegram for iOS and macOS sends: MtProtoKit, played.

Read in TelegramMessenger/Telegram-iOS, submodules/MtProtoKit/Sources: MTProto.m,
MTDatacenterAuthMessageService.m, MTBindKeyMessageService.m, MTTcpConnection.m. The inner data of
its exchange name no dc. It throws the exchange's salt away: with salt 0 it pings the unbound key
until bad_server_salt tells one, and knows the time from bad_msg_notification alone. A key exchange
goes on over another connection, with the same bytes.
"""

import os
from dataclasses import dataclass, field

from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.rsa import RsaKey
from gnetway.testing import ClientExchange, Wish
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import BadMsgNotification, Ping, RpcResult, pack_container
from tests.live.apps.keys import plain_answer, session_of
from tests.live.apps.proof import LIFETIME_SECONDS, Bind
from tests.live.apps.talk import Talk
from tests.live.apps.wire import (
    AppSession,
    Begin,
    Message,
    MessageIds,
    StreamLine,
    connect_stream,
    contained,
    plain,
)
from tests.live.client import now

DC = 2

#: What it asks for; the inner data are p_q_inner_data and p_q_inner_data_temp, without a dc.
PERM = Wish()
TEMP = Wish(expires_in=LIFETIME_SECONDS)

#: Pings before it must have learnt salt and time. An application goes on for ever.
MAX_PINGS = 8


class NeverLearnt(AssertionError):
    """Pings are answered, but nothing tells the salt."""


class Run:
    """A key exchange that may go on over another connection.

    ``query`` is what is unanswered, to be sent again byte for byte; None once the key is made.
    """

    def __init__(self, rsa: RsaKey, wish: Wish, ids: MessageIds) -> None:
        self.exchange = ClientExchange([rsa], os.urandom, wish)
        self._ids = ids
        self.query: bytes | None = plain(self.exchange.begin(), ids())

    def send(self, line: StreamLine) -> None:
        assert self.query is not None
        line.send(self.query)

    def hear(self, line: StreamLine) -> None:
        """Take the answer to what was sent, over whichever connection."""
        body = self.exchange.receive(plain_answer(line.packet()).body)
        self.query = None if body is None else plain(body, self._ids())

    def step(self, line: StreamLine) -> None:
        self.send(line)
        self.hear(line)

    def finish(self, line: StreamLine) -> AppSession:
        """Do the rest, and return a session that has thrown the salt away."""
        while self.query is not None:
            self.step(line)
        session = session_of(self.exchange)
        session.salt = 0
        return session


@dataclass
class Phone:
    """An installation; its clock is ``ahead_seconds`` off. ``notices`` counts what it was told."""

    port: int
    rsa: RsaKey
    ahead_seconds: int = 0
    perm: AuthKey | None = None
    #: Server's time less the phone's own, in seconds, once it is known.
    difference: int = 0
    notices: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = MessageIds(self.ahead_seconds)

    @property
    def clock(self) -> int:
        """What the phone's own clock shows, Unix seconds."""
        return int(now()) + self.ahead_seconds

    def dial(self, media: bool = False, begin: Begin = Begin.ANY) -> StreamLine:
        """Connect: obfuscated abridged, with dc 2, or -2 for media."""
        return connect_stream(self.port, dc_id=-DC if media else DC, begin=begin)

    def begin(self, wish: Wish) -> Run:
        return Run(self.rsa, wish, self._ids)

    def make_perm_key(self, line: StreamLine) -> None:
        self.perm = self.begin(PERM).finish(line).key

    # -- salt and time -------------------------------------------------------------------------

    def learn(self, line: StreamLine, session: AppSession) -> Talk:
        """Ping the unbound key, alone and with an even seq_no, until a pong comes for a right salt.

        :raises NeverLearnt: salt or time are not told.
        """
        talk = Talk(line, session)
        for ping_id in range(MAX_PINGS):
            packet = session.encrypt_message(
                self._ids(), session.next_seq_no(False), Ping(ping_id).pack()
            )
            line.send(packet)
            messages = talk.hear()
            for message in messages:
                self._obey(message, session)
            if session.salt and any(message.kind == Constructor.PONG for message in messages):
                return talk
        raise NeverLearnt(f"{MAX_PINGS} pings, and no salt; heard {talk.kinds()}")

    def _obey(self, message: Message, session: AppSession) -> None:
        if message.kind == Constructor.BAD_SERVER_SALT:
            self.notices.append(48)
        elif message.kind == Constructor.BAD_MSG_NOTIFICATION:
            code = BadMsgNotification.parse(message.body).error_code
            self.notices.append(code)
            if code in (16, 17):
                self.difference = (message.msg_id >> 32) - self.clock
                self._ids = MessageIds(self.ahead_seconds + self.difference)
                # Its ids would go backwards within a session, so it takes another.
                session.session_id = int.from_bytes(os.urandom(8), "little", signed=True)

    # -- binding -------------------------------------------------------------------------------

    def bind(self, talk: Talk) -> None:
        """Send a container of bind and ping; the expiry counts the time difference twice."""
        assert self.perm is not None
        session = talk.session
        msg_id = self._ids()
        expires_at = self.clock + 2 * self.difference + LIFETIME_SECONDS
        bind = Bind.honest(session.key, self.perm, session.session_id, msg_id, expires_at)
        messages = contained(session, bind.call(), msg_id=msg_id)
        messages += contained(session, Ping(1).pack(), msg_id=self._ids())
        body = pack_container(messages)
        talk.line.send(session.encrypt_message(self._ids(), session.next_seq_no(False), body))
        message = talk.result(msg_id)
        assert message.error is None, message.error
        result = RpcResult.parse(message.body).result
        assert result == pack_uint32(Constructor.BOOL_TRUE), result.hex()

    def ask(self, talk: Talk, body: bytes) -> Message:
        """Send a call by the phone's own clock, and wait for its result."""
        msg_id = self._ids()
        talk.line.send(talk.session.encrypt_message(msg_id, talk.session.next_seq_no(True), body))
        return talk.result(msg_id)
