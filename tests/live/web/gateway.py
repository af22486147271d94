"""A gateway for web clients."""

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
        self.ports = {name: free_port() for name in ("wss", "http", "guarded")}
        tls = {"CertFile": "./tls/server.pem", "KeyFile": "./tls/server.key"}
        self.config["Gnetway"] = {
            "Server": [
                {"Proto": "websocket", "Addresses": [self.address]},
                {"Proto": "websocket", "Addresses": [self._at("wss")], "TLS": tls},
                {"Proto": "http", "Addresses": [self._at("http")]},
                {
                    "Proto": "auto",
                    "Addresses": [self._at("guarded")],
                    "AllowedOrigins": ["https://*.example.org"],
                },
            ]
        }
        self.write_config()

    def _ready(self) -> bool:
        # Without a TCP listener the log names nothing to try.
        return "session backend: " in self.log

    def _at(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    def url(self, path: str = "/apiws") -> str:
        return f"ws://{self.address}{path}"

    @property
    def tls_url(self) -> str:
        return f"wss://{self._at('wss')}/apiws"

    @property
    def http_url(self) -> str:
        return f"http://{self._at('http')}/apiw1"

    @property
    def guarded(self) -> str:
        """The host and port where pages of other origins than example.org's are refused."""
        return self._at("guarded")
