"""A gateway for web clients."""

from pathlib import Path
from unittest import TestCase

from gnetway.tl.primitives import Constructor, pack_int32, pack_string, pack_uint32
from tests.live.gateway import HANDLER
from tests.live.web.listeners import TLS, ListenerGateway

# From Telegram's API schema, so that clients have classes for them.
UPDATE_SHORT = 0x78D4DEC1
UPDATE_SERVICE_NOTIFICATION = 0xEBE46819
MESSAGE_MEDIA_EMPTY = 0x3DED6320


def notification(text: str) -> bytes:
    """Return an update that every client takes without a login."""
    return b"".join(
        (
            pack_uint32(UPDATE_SHORT),
            pack_uint32(UPDATE_SERVICE_NOTIFICATION),
            pack_uint32(0),
            pack_string(b"NEWS"),
            pack_string(text.encode()),
            pack_uint32(MESSAGE_MEDIA_EMPTY),
            pack_uint32(Constructor.VECTOR),
            pack_uint32(0),
            pack_int32(1),
        )
    )


class WebGateway(ListenerGateway):
    """One listener for each way in which web clients come, WebSocket first."""

    def __init__(self) -> None:
        listeners: dict[str, dict[str, object]] = {
            "wss": {"Proto": "websocket", "TLS": TLS},
            "http": {"Proto": "http"},
            "guarded": {"Proto": "auto", "AllowedOrigins": ["https://*.example.org"]},
        }
        super().__init__(listeners, proto="websocket", handler=HANDLER)

    @property
    def certificate(self) -> Path:
        return self.tls_folder / "server.pem"

    def url(self, path: str = "/apiws") -> str:
        return f"ws://{self.address}{path}"

    @property
    def tls_url(self) -> str:
        return f"wss://{self.at('wss')}/apiws"

    @property
    def http_url(self) -> str:
        return f"http://{self.at('http')}/apiw1"

    @property
    def native(self) -> str:
        """The host and port that clients are told: the only one where MTProto may come by TCP."""
        return self.at("guarded")

    @property
    def guarded(self) -> str:
        """The host and port where pages of other origins than example.org's are refused."""
        return self.at("guarded")


class WebCase(TestCase):
    """Tests of one gateway that runs for all of them."""

    gateway: WebGateway

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = WebGateway()
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()
