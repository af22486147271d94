"""Every probe of an independent client: each protocol on its own port, then all on one."""

from tests.live.cluster.foreign import ForeignTestCase
from tests.live.loadgen import probe
from tests.ports import free_port

#: It sends its packet with no frame of WebSocket around it, which no gateway can take for one. The
#: other probes over WebSocket ask for quick acks as well.
UNFRAMED = "quick ack over ws-obf-intermediate"


class ProbeTests(ForeignTestCase):
    def test_all(self) -> None:
        names = ("websocket", "http", "auto")
        addresses = {name: f"127.0.0.1:{free_port()}" for name in names}
        servers: list[object] = [{"Proto": "tcp", "Addresses": [self.gateway.address]}]
        servers += [{"Proto": name, "Addresses": [addresses[name]]} for name in names]
        self.gateway.config["Gnetway"] = {"Server": servers}
        self.gateway.write_config()
        self.start_foreign(1, 4)
        auto = addresses["auto"]
        for tcp, websocket, http in (
            (self.gateway.address, addresses["websocket"], addresses["http"]),
            (auto, auto, auto),
        ):
            with self.subTest(tcp=tcp):
                verdicts = probe(
                    tcp,
                    self.gateway.key_file,
                    self.keys.file,
                    websocket=websocket,
                    http=http,
                )
                self.assertGreaterEqual(len(verdicts), 54)
                verdicts.pop(UNFRAMED)
                self.assertEqual({name: text for name, text in verdicts.items() if text}, {})
