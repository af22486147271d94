"""A session node in a process of its own, which writes down what it hears and does.

    python -m tests.live.cluster.node_process ADDRESS KEYS JOURNAL [MODE]

KEYS has an auth key in each line, in hexadecimal. Lines on the standard input change the mode, in
which data are treated; its end is the end of the process, as is SIGTERM after what is under way.

    serve              every message is answered, and taken only after that
    shed NUMBER        of so many messages one is refused as UNKNOWN
    redirect ADDRESS   sessions that are new here are sent there, and stay sent away
    refuse CODE        every message is refused with a status

A message's answer is with the gateway before the message counts as taken, so a crash in between
loses nothing that was acknowledged.
"""

import signal
import sys
from itertools import count
from pathlib import Path
from typing import Final

import grpc

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.pb import session_pb2
from gnetway.pb.gateway_pb2 import SEND_DATA_TO_GATEWAY, TL_gateway_sendDataToGateway
from gnetway.rpc.status import StatusCode
from tests.live.cluster.gateway_link import UNARY_PATH, GatewayLink
from tests.live.cluster.node_journal import Journal, What
from tests.live.cluster.session_service import Refusal, SessionNode, SessionService, Told

#: What is under way may take so long when it is told to end.
_GRACE_SECONDS: Final = 1.0

#: An answer may take so long to be with the gateway.
_PUSH_SECONDS: Final = 30.0


class _WaitingLink(GatewayLink):
    """Returns from a push when the gateway has answered it, whatever it said."""

    def __init__(self, address: str) -> None:
        super().__init__(address, by_stream=False, certificates=None)
        self._call = grpc.insecure_channel(address).unary_unary(UNARY_PATH)

    def push(self, auth_key_id: int, session_id: int, plaintext: bytes) -> None:
        data = TL_gateway_sendDataToGateway(
            constructor=SEND_DATA_TO_GATEWAY,
            auth_key_id=auth_key_id,
            session_id=session_id,
            payload=plaintext,
        )
        try:
            self._call(data.SerializeToString(), timeout=_PUSH_SECONDS)
        except grpc.RpcError:
            self.failed += 1


class _JournalService(SessionService):
    """Decides by its mode, and writes everything down."""

    def __init__(self, journal: Journal, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self._journal = journal
        self._numbers = count(1)
        self._here: set[tuple[int, int]] = set()
        self._sent_away: set[tuple[int, int]] = set()

    def note(self, told: Told) -> None:
        if told.method == "close":
            self._journal.write(What.CLOSED, told.session)
        elif told.method == "data":
            self._decide(told)

    def _decide(self, told: Told) -> None:
        mode, _, value = self.mode.partition(" ")
        session, first = told.session, told.conn_type == 1
        with self._lock:
            is_new = session not in self._here
            if session in self._sent_away or (mode == "redirect" and is_new):
                # For good, or of two messages on their way the later one might be taken first.
                self._sent_away.add(session)
                self._journal.write(What.REDIRECTED, session, told.msg_id, first)
                raise Refusal(StatusCode.REDIRECT, f"REDIRECT_TO_{value or 'nowhere:1'}")
            code = 0
            if mode == "refuse":
                code = int(value)
            elif mode == "shed" and not next(self._numbers) % int(value):
                code = StatusCode.UNKNOWN
            if code:
                self._journal.write(What.REFUSED, session, told.msg_id, first)
                raise Refusal(code, "refused by its mode")
            self._here.add(session)
            self._journal.write(What.HEARD, session, told.msg_id, first)

    def answer(self, data: session_pb2.SessionClientData, told: Told) -> None:
        super().answer(data, told)
        self._journal.write(What.TAKEN, told.session, told.msg_id)

    def push(self, gateway: str, auth_key_id: int, session_id: int, salt: int, body: bytes) -> None:
        with self._lock:
            if gateway not in self.links:
                self.links[gateway] = _WaitingLink(gateway)
        super().push(gateway, auth_key_id, session_id, salt, body)


class _Node(SessionNode):
    def end(self) -> None:
        """Take nothing more, and end what is under way."""
        self._server.stop(_GRACE_SECONDS).wait()


def main() -> None:
    """Serve until the standard input or a signal says otherwise."""
    address, keys, journal_path, *mode = sys.argv[1:]
    journal = Journal(Path(journal_path), address)
    service = _JournalService(journal, *(mode or ["serve"]))
    for line in Path(keys).read_text().split():
        service.know(AuthKey(bytes.fromhex(line), KeyKind.PERM))
    node = _Node(service)
    node.address = address
    node.start()

    def end(*_: object) -> None:
        node.end()
        sys.exit()

    signal.signal(signal.SIGTERM, end)
    journal.write(What.BEGUN)
    for line in sys.stdin:
        service.mode = line.strip()
    end()


if __name__ == "__main__":
    main()
