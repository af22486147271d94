"""A gateway for web clients: a listener each for ws and wss."""

from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_int32, pack_string, pack_uint32
from tests.live.certificates import make_certificates
from tests.live.etcd_server import free_port
from tests.live.gateway import Gateway

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


class WebGateway(Gateway):
    def __init__(self) -> None:
        super().__init__()
        folder = self.folder / "tls"
        folder.mkdir()
        make_certificates(folder)
        self.ca_file = folder / "ca.pem"
        self.certificate = folder / "server.pem"
        self.tls_port = free_port()
        tls = {"CertFile": "./tls/server.pem", "KeyFile": "./tls/server.key"}
        self.config["Gnetway"] = {
            "Server": [
                {"Proto": "websocket", "Addresses": [self.address]},
                {"Proto": "websocket", "Addresses": [f"127.0.0.1:{self.tls_port}"], "TLS": tls},
            ]
        }
        self.write_config()

    def _ready(self) -> bool:
        # Without a TCP listener the log names nothing to try.
        return "session backend: " in self.log

    def url(self, path: str = "/apiws") -> str:
        return f"ws://{self.address}{path}"

    @property
    def tls_url(self) -> str:
        return f"wss://127.0.0.1:{self.tls_port}/apiws"
