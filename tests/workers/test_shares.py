from dataclasses import replace

from gnetway.config.model import share_out
from gnetway.errors import ConfigError
from gnetway.runtime.machine import machine_memory
from gnetway.workers.pipe import processors, shares
from tests.service.cases import ServiceCase


class SharesTests(ServiceCase):
    def addresses(self, listen_on: str, count: int) -> list[str]:
        return [str(share.listen_on) for share in shares(self.remote(listen_on), count)]

    def test_a_port_each(self) -> None:
        self.assertEqual(
            self.addresses("10.0.0.5:20110", 3),
            ["10.0.0.5:20110", "10.0.0.5:20111", "10.0.0.5:20112"],
        )

    def test_any_free_port_each(self) -> None:
        self.assertEqual(self.addresses("[::1]:0", 2), ["[::1]:0", "[::1]:0"])

    def test_all_else_is_the_same(self) -> None:
        config = self.remote("10.0.0.5:20110")
        first, second = shares(config, 2)
        memory = share_out(config, machine_memory(), 2)
        self.assertEqual(replace(first, gnetway=memory.gnetway), memory)
        self.assertIs(second.gnetway, first.gnetway)
        admission, drain = config.gnetway.admission, config.gnetway.drain
        self.assertEqual(first.gnetway.drain.per_second, drain.per_second // 2)
        shared = replace(first.gnetway, admission=admission, drain=drain)
        self.assertEqual(shared, memory.gnetway)

    def test_a_part_of_what_an_address_may_have(self) -> None:
        own = {"Networks": ["192.0.2.0/24"], "ConnectionsPerAddress": 3, "NewConnectionsBurst": 40}
        admission = {"ConnectionsPerAddress": 10, "NewConnectionsPerSecond": 0, "Networks": [own]}
        gnetway = {"Server": [{"Addresses": ["127.0.0.1:0"]}], "Admission": admission}
        share = shares(self.remote("10.0.0.5:20110", Gnetway=gnetway), 4)[3].gnetway.admission
        assert share.networks is not None
        self.assertEqual(
            (
                share.connections_per_address,
                share.new_connections_per_second,
                share.half_open_per_address,
                share.new_connections_burst,
            ),
            (3, 0, 0, 2500),
        )
        [network] = share.networks
        self.assertEqual(
            (
                network.connections_per_address,
                network.new_connections_burst,
                network.half_open_per_address,
            ),
            (1, 10, None),
        )

    def test_no_ports_left(self) -> None:
        self.assertEqual(self.addresses("10.0.0.5:65533", 3)[-1], "10.0.0.5:65535")
        error = self.assertRaises(ConfigError, self.addresses, "10.0.0.5:65534", 3)
        self.assertEqual(
            str(error),
            "app: ListenOn: found 10.0.0.5:65534 for 3 workers, which take a port each from"
            " there on; allowed: a port up to 65533, or 0",
        )

    def test_processors(self) -> None:
        self.assertGreaterEqual(processors(), 1)
