"""One session on one line: saying things, and hearing what was said to them."""

import time
from collections.abc import Callable

from gnetway.testing import ClientSession
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import BadServerSalt, HttpWait, Ping, Pong, RpcResult
from tests.live.apps.wire import (
    PATIENCE_SECONDS,
    HttpLine,
    Line,
    Message,
    Silence,
    contained,
    flat,
    is_content,
    pack_contained,
)
from tests.live.client import now

#: A poll that is answered at once if there is nothing, and one that waits a little.
NO_WAIT = HttpWait(0, 0, 0)
SHORT_WAIT = HttpWait(0, 0, 2_000)


class Talk:
    """``heard`` has all messages that came, in their order; ``patience`` is in seconds."""

    def __init__(
        self, line: Line, session: ClientSession, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.line = line
        self.patience = patience
        self.session = session
        self.heard: list[Message] = []

    def number(self, body: bytes) -> tuple[int, int]:
        """Return msg_id and seq_no for the next message."""
        return self.session.next_msg_id(now()), self.session.next_seq_no(is_content(body))

    def pack(self, body: bytes, msg_id: int = 0) -> bytes:
        """Return the packet of a message, whose msg_id was drawn before if it is given."""
        mine = msg_id or self.session.next_msg_id(now())
        return self.session.encrypt_message(mine, self.session.next_seq_no(is_content(body)), body)

    def say(self, body: bytes, msg_id: int = 0) -> int:
        """Send one message, and return its msg_id."""
        mine = msg_id or self.session.next_msg_id(now())
        self.line.send(self.pack(body, mine))
        return mine

    def say_together(self, *bodies: bytes, msg_id: int = 0) -> int:
        """Send messages in a container; returns the msg_id of the first."""
        messages = contained(self.session, *bodies, msg_id=msg_id)
        self.line.send(pack_contained(self.session, messages))
        return messages[0].msg_id

    def hear(self) -> list[Message]:
        """Return the messages of the next packet."""
        said = self.session.decrypt(self.line.packet(self.patience))
        messages = list(flat(said.msg_id, said.seq_no, said.body))
        self.heard += messages
        for message in messages:
            if message.kind == Constructor.BAD_SERVER_SALT:
                self.session.salt = BadServerSalt.parse(message.body).new_server_salt
        return messages

    def hear_until(self, wanted: Callable[[Message], bool]) -> Message:
        """Hear until a message is the one; over HTTP by polling for it.

        :raises Silence: it has not come in time, whatever else has.
        """
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            if isinstance(self.line, HttpLine) and not self.line.waiting:
                self.say(SHORT_WAIT.pack())
            for message in self.hear():
                if wanted(message):
                    return message
        raise Silence

    def result(self, msg_id: int) -> Message:
        """Wait for the rpc_result of a call."""
        return self.hear_until(
            lambda said: (
                said.kind == Constructor.RPC_RESULT
                and RpcResult.parse(said.body).req_msg_id == msg_id
            )
        )

    def ask(self, body: bytes) -> Message:
        """Send a call and wait for its rpc_result."""
        return self.result(self.say(body))

    def ping(self, ping_id: int = 1) -> None:
        """Send a ping and wait for its pong."""
        msg_id = self.say(Ping(ping_id).pack())
        self.hear_until(lambda said: said.body == Pong(msg_id, ping_id).pack())

    def kinds(self) -> list[int]:
        return [message.kind for message in self.heard]
