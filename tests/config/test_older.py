from gnetway.config.load import OLDER_NOTE, load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from tests.config.cases import GOOD, ConfigCase

#: The two forms that Teamgram's gateway had before Gnetway, with our key and backend.
NET2 = """\
Name: interface.gateway
Log:
  Mode: file
  Path: ../logs/gateway
KeyFile: key.pem
MaxProc: 4
Server:
  Addrs:
    - 0.0.0.0:10443
    - 0.0.0.0:5222
    - 0.0.0.0:8801
  ServerName: interface.gateway
  ProtoName: mtproto
  SendBuf: 65536
  ReceiveBuf: 65536
  Keepalive: false
  SendChanSize: 1024
Session:
  Embedded: {Store: memory}
"""
GNET = """\
KeyFile: key.pem
Server:
  Addrs: [0.0.0.0:10443, 0.0.0.0:5222]
  SendBuf: 65536
  ReceiveBuf: 65536
  Multicore: true
Session:
  Endpoints: [10.0.0.7:20120]
ListenOn: 127.0.0.1:20110
"""


class OlderTests(ConfigCase):
    def config(self, text: str) -> GatewayConfig:
        return load_file(self.write("gateway.yaml", text))

    def addresses(self, config: GatewayConfig) -> list[str]:
        [server] = config.gnetway.servers
        self.assertEqual((type(server), server.proto), (ServerConfig, Proto.TCP))
        return [str(address) for address in server.addresses]

    def test_first_form(self) -> None:
        config = self.config(NET2)
        ports = ["0.0.0.0:10443", "0.0.0.0:5222", "0.0.0.0:8801"]
        self.assertEqual(self.addresses(config), ports)
        self.assertEqual(
            config.unused,
            (
                "MaxProc",
                "Server.ServerName",
                "Server.ProtoName",
                "Server.SendBuf",
                "Server.ReceiveBuf",
                "Server.Keepalive",
                "Server.SendChanSize",
            ),
        )

    def test_second_form(self) -> None:
        config = self.config(GNET)
        self.assertEqual(self.addresses(config), ["0.0.0.0:10443", "0.0.0.0:5222"])
        self.assertIsNone(config.workers)
        self.assertEqual(config.unused, ("Server.SendBuf", "Server.ReceiveBuf"))

    def test_workers_come_before_multicore(self) -> None:
        config = self.config(GNET + "Workers: 2\n")
        self.assertEqual(config.workers, 2)
        self.assertIn("Server.Multicore", config.unused)

    def test_it_is_told(self) -> None:
        self.assertEqual(self.config(NET2).notes, (OLDER_NOTE,))
        self.assertEqual(self.config(GOOD).notes, ())

    def test_any_case(self) -> None:
        text = NET2.replace("Server:", "server:").replace("Addrs:", "addrs:")
        self.assertEqual(len(self.addresses(self.config(text))), 3)

    def test_later_faults_name_its_keys(self) -> None:
        [server] = self.config(NET2).gnetway.servers
        self.assertEqual(server.path, "Server")
        self.assertEqual(server.addresses[1].path, "Server.Addrs[1]")

    def test_faults(self) -> None:
        for old, new, fault in (
            ("    - 0.0.0.0:5222", "    - 0.0.0.0", "Server.Addrs[1]: found '0.0.0.0'; "),
            (
                "    - 0.0.0.0:5222",
                "    - 0.0.0.0:8801",
                "0.0.0.0:8801 a second time, after Server",
            ),
            ("  Keepalive: false", "  Keepalive: 1", "Server.Keepalive: found 1; "),
            ("  Keepalive: false", "  Keepalove: 1", "; did you mean 'Keepalive'?"),
            ("Session:", "Gnetway:\nSession:", "Server: found it beside Gnetway; "),
        ):
            [fault_line, *_] = [
                found for found in self.faults(NET2.replace(old, new, 1)) if fault in found
            ]
            self.assertTrue(fault_line)

    def test_without_addresses(self) -> None:
        faults = self.faults("KeyFile: key.pem\nServer:\nSession: {Embedded: {Store: memory}}\n")
        self.assertEqual(len(faults), 1)
        self.assertTrue(faults[0].startswith("2: Server.Addrs: found nothing; allowed: a list, "))
