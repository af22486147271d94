"""Close codes by cause: only a client that is at fault is told so."""

import ast
from collections.abc import Iterator
from pathlib import Path

from gnetway.net.websocket.frames import CLOSE_CODES
from tests.net.websocket.test_protocol import Socket, WebSocketCase

GNETWAY = Path(__file__).parents[3] / "gnetway"

#: Those whose first argument is why a link is ended that has done nothing.
_ENDING = frozenset({"_close", "end", "end_links", "give_up", "lose", "lost"})


def decided_here() -> Iterator[str]:
    """Yield the causes of ends that are no error in what a client has sent."""
    files = [
        file
        for folder in ("net", "net/websocket", "dispatch", "backends/remote", "backends/embedded")
        for file in (GNETWAY / folder).glob("*.py")
        if "http" not in file.name
    ]
    for call in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(call, ast.Call) and call.args and isinstance(call.func, ast.Attribute):
            for part in ast.walk(call.args[0]) if call.func.attr in _ENDING else ():
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


class CodeTests(WebSocketCase):
    def test_each_cause(self) -> None:
        for code, causes in {
            1000: (
                "idle",
                "gave_up_at_res_pq",
                "handshake_timeout",
                "handshake_expired",
                "handshake_unknown",
                "handshake_wrong_dc",
                "key_destroyed",
                "closed_by_handler",
                "key_unknown",
                "key_unregistered",
            ),
            1001: ("gateway_stopped", "ended_by_operator", "drained_by_operator"),
            1002: (
                "bad_framing",
                "bad_message",
                "bad_msg_key",
                "bad_tl",
                "handshake_bad_query",
                "handshake_fingerprint",
                "handshake_nonce",
                "session_id_zero",
                "too_many_keys",
                "unknown_transport",
            ),
            1003: ("websocket_text",),
            1009: ("message_too_big", "packet_too_large"),
            1011: ("handshake_work_failed",),
            1013: (
                "backend_unavailable",
                "handshake_too_fast",
                "handshake_too_many",
                "handshake_too_much_work",
                "hold_expired",
                "hold_full",
                "message_refused",
                "no_session_node",
                "not_acknowledged",
            ),
        }.items():
            for cause in causes:
                socket = Socket(self)
                assert socket.protocol._link is not None
                socket.protocol._link.end(cause)
                socket.read()
                self.assertEqual(socket.closed, code, cause)

    def test_who_is_ended_has_a_code_of_its_own(self) -> None:
        """A cause that is not in the table would tell the client of a protocol error."""
        causes = set(decided_here())
        self.assertLessEqual({"hold_full", "key_destroyed", "gateway_stopped"}, causes)
        self.assertEqual(causes - set(CLOSE_CODES) - {"websocket_frames"}, set())
