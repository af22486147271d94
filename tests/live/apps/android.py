"""What Telegram for Android sends: its network library tgnet, played.

Read in DrKLO/Telegram, TMessagesProj/jni/tgnet: Handshake.cpp, ConnectionsManager.cpp,
Datacenter.cpp, Connection.cpp. It acknowledges each answer of a key exchange by an unencrypted
msgs_ack, answers a resPQ for another nonce than its newest by beginning anew, and binds before it
says anything else.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.rsa import RsaKey
from gnetway.testing import ClientExchange, Wish
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    MsgsAck,
    PingDelayDisconnect,
    RpcResult,
    pack_container,
)
from tests.live.apps.keys import PlainAnswer, plain_answer, session_of
from tests.live.apps.proof import LIFETIME_SECONDS, Bind
from tests.live.apps.talk import Talk
from tests.live.apps.wire import (
    AppSession,
    MessageIds,
    StreamLine,
    connect_stream,
    plain,
    with_layer,
)
from tests.live.client import now

DC = 2

GET_CONFIG = pack_uint32(Constructor.HELP_GET_CONFIG)

#: What it does on the generic connection, in seconds.
DISCONNECT_DELAY_SECONDS = 35


def ack(msg_id: int) -> bytes:
    return MsgsAck([msg_id]).pack()


def container_of_acks(msg_id: int) -> bytes:
    """Two acks in a container, as a client may join them."""
    inner = [ContainedMessage(msg_id + 4 * n, 0, ack(msg_id)) for n in range(2)]
    return pack_container(inner)


class NeverThere(AssertionError):
    """Only resPQ for nonces that were given up come."""


@dataclass
class Phone:
    """An installation: its permanent key, once it has one; ``port`` is the gateway's.

    ``make_ack`` makes the unencrypted message that follows each answer. ``joined``: it leaves in
    one segment with the query behind it, else alone.
    """

    port: int
    rsa: RsaKey
    make_ack: Callable[[int], bytes] = ack
    joined: bool = True
    perm: AuthKey | None = None
    #: How many resPQ came for nonces that it had given up.
    stale_answers: int = 0
    ids: MessageIds = field(default_factory=MessageIds)

    def dial(self, media: bool = False) -> StreamLine:
        """Connect: obfuscated abridged, with the dc in the header, negative for media."""
        return connect_stream(self.port, dc_id=-DC if media else DC)

    def plain(self, body: bytes) -> bytes:
        """Return an unencrypted packet."""
        return plain(body, self.ids())

    # -- keys ----------------------------------------------------------------------------------

    def exchange(self, line: StreamLine, wish: Wish) -> tuple[AppSession, bytes]:
        """Make a key; returns its session, and the last ack, which was not sent yet."""
        exchange = ClientExchange([self.rsa], os.urandom, wish)
        line.send(plain(exchange.begin(), self.ids()))
        return self.finish(line, exchange, plain_answer(line.packet()))

    def exchange_anew(
        self, line: StreamLine, wish: Wish, beginnings: int = 2
    ) -> tuple[AppSession, bytes]:
        """The same on a live link: several beginnings leave in one segment, the last one counts.

        :raises NeverThere: the gateway answers to those that were given up, over and over.
        """
        runs = [ClientExchange([self.rsa], os.urandom, wish) for _ in range(beginnings)]
        newest = runs[-1]
        line.send(*(plain(run.begin(), self.ids()) for run in runs))
        return self.await_newest(line, wish, newest)

    def await_newest(
        self, line: StreamLine, wish: Wish, newest: ClientExchange
    ) -> tuple[AppSession, bytes]:
        """Go on with the newest beginning; any other resPQ makes the phone begin again."""
        for _ in range(20):
            answer = plain_answer(line.packet())
            if answer.body[4:20] == newest.nonce:
                return self.finish(line, newest, answer)
            self.stale_answers += 1
            newest = ClientExchange([self.rsa], os.urandom, wish)
            line.send(plain(newest.begin(), self.ids()))
        raise NeverThere(f"{self.stale_answers} answers to beginnings that were given up")

    def finish(
        self, line: StreamLine, exchange: ClientExchange, answer: PlainAnswer
    ) -> tuple[AppSession, bytes]:
        """Go through an exchange from its first answer on."""
        query = exchange.receive(answer.body)
        while query is not None:
            packets = [plain(self.make_ack(answer.msg_id), self.ids()), plain(query, self.ids())]
            if self.joined:
                line.send(*packets)
            else:
                for packet in packets:
                    line.send(packet)
            answer = plain_answer(line.packet())
            query = exchange.receive(answer.body)
        return session_of(exchange), plain(self.make_ack(answer.msg_id), self.ids())

    def make_perm_key(self, line: StreamLine) -> None:
        """Make the permanent key; nothing is said under it."""
        session, last_ack = self.exchange(line, Wish(dc=DC))
        line.send(last_ack)
        self.perm = session.key

    # -- binding -------------------------------------------------------------------------------

    def bind(self, line: StreamLine, session: AppSession, last_ack: bytes) -> Talk:
        """Bind a temporary key, in the first message under it, right behind the last ack."""
        assert self.perm is not None
        talk = Talk(line, session)
        msg_id = session.next_msg_id(now())
        expires_at = int(now()) + LIFETIME_SECONDS
        bind = Bind.honest(session.key, self.perm, session.session_id, msg_id, expires_at)
        packet = talk.pack(bind.call(), msg_id)
        if self.joined:
            line.send(last_ack, packet)
        else:
            line.send(last_ack)
            line.send(packet)
        result = RpcResult.parse(talk.result(msg_id).body).result
        assert result == pack_uint32(Constructor.BOOL_TRUE), result.hex()
        return talk

    def temporary(self, line: StreamLine, media: bool = False, anew: bool = False) -> Talk:
        """Make a temporary key and bind it."""
        wish = temporary_wish(media)
        made = self.exchange_anew(line, wish) if anew else self.exchange(line, wish)
        return self.bind(line, *made)


def temporary_wish(media: bool = False) -> Wish:
    return Wish(dc=-DC if media else DC, expires_in=LIFETIME_SECONDS)


def go_online(talk: Talk) -> None:
    """Say what comes behind the bind: a ping with a delay, and the first call."""
    msg_id = talk.say(PingDelayDisconnect(7, DISCONNECT_DELAY_SECONDS).pack())
    talk.hear_until(lambda said: said.kind == Constructor.PONG)
    assert msg_id
    result = talk.ask(with_layer(GET_CONFIG))
    assert result.error is None, result.error
