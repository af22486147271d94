"""Addresses that cannot be bound or reached, and who has them."""

import os
import socket
from pathlib import Path

from gnetway.cli.check_addresses import ListeningSockets, addresses, announced
from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.model import GatewayConfig
from tests.cli.cases import CheckCase


class AddressTests(CheckCase):
    def at(self, *places: object, **keys: object) -> GatewayConfig:
        server = {"Addresses": list(places)}
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": [server]}, **keys)

    def found(self, config: GatewayConfig) -> list[str]:
        return self.lines(lambda: addresses(self.report, config))

    def test_free(self) -> None:
        config = self.at("127.0.0.1:0", "[::1]:0", f"unix:{self.directory}/a.sock")
        self.well(lambda: addresses(self.report, config))

    def test_taken(self) -> None:
        port = self.taken_port()
        (line,) = self.found(self.at(f"127.0.0.1:{port}"))
        self.assertIn(
            f"FAULT   port: 127.0.0.1:{port} (Gnetway.Server[0].Addresses[0]) is taken by ", line
        )
        self.assertIn(f", process {os.getpid()}; remedy: end that, or change Gnetway.Ser", line)

    def test_a_socket_file(self) -> None:
        path = self.directory / "a.sock"
        config = self.at(f"unix:{path}")
        taken = socket.socket(socket.AF_UNIX)
        taken.bind(str(path))
        (line,) = self.found(config)
        self.assertIn(f"unix:{path} (Gnetway.Server[0].Addresses[0]) is taken by ", line)
        taken.close()
        # Nobody listens any more: a gateway takes its place.
        self.well(lambda: addresses(self.report, config))
        path.unlink()
        path.write_text("")
        (line,) = self.found(config)
        self.assertIn("cannot be bound: it is a file, and no socket; remedy: change Gnetway", line)
        (line,) = self.found(self.at(f"unix:{self.directory}/nowhere/a.sock"))
        self.assertIn("cannot be bound: there is no ", line)

    def test_no_address_of_this_machine(self) -> None:
        (line,) = self.found(self.at("192.0.2.1:10443"))
        self.assertIn("remedy: an address of this machine in Gnetway.Server[0].Addresses[0]", line)

    def test_of_operators_and_session_services(self) -> None:
        port = self.taken_port()
        own = f"127.0.0.1:{port}"
        admin = {"Addresses": [own, "0.0.0.0:0"]}
        site, is_open, prometheus = self.found(
            self.at("127.0.0.1:0", Admin=admin, Prometheus={"Host": "127.0.0.1", "Port": port})
        )
        self.assertIn(f"FAULT   admin: {own} (Admin.Addresses[0]) is taken by ", site)
        self.assertIn(f"FAULT   admin: {own} (Prometheus) is taken by ", prometheus)
        self.assertIn("WARNING admin: open to everybody who reaches 0.0.0.0:0", is_open)
        (line,) = self.found(self.remote(own, Workers=1))
        self.assertIn(f"FAULT   port: {own} (ListenOn) is taken by ", line)

    def announced(self, listen_on: str, nodes: list[str], **environment: str) -> list[str]:
        config = self.remote(listen_on)
        return self.lines(lambda: announced(self.report, config, nodes, environment))

    def test_an_address_that_session_services_do_not_reach(self) -> None:
        (line,) = self.announced("127.0.0.1:20110", ["127.0.0.1:1", "10.0.0.7:20120"])
        self.assertIn("FAULT   ListenOn: session services are told 127.0.0.1:20110, which", line)
        self.assertIn("and 10.0.0.7:20120 is elsewhere; remedy: an address of this", line)
        self.assertEqual(self.announced("127.0.0.1:20110", ["127.0.0.2:1", "localhost:2"]), [])
        self.assertEqual(self.announced("10.0.0.9:20110", ["10.0.0.7:20120"]), [])
        (line,) = self.announced("0.0.0.0:20110", [], POD_IP="no address")
        self.assertIn("FAULT   ListenOn: 0.0.0.0:20110 is all addresses of this machine, but", line)
        (line,) = self.announced("0.0.0.0:20110", [], POD_IP="192.0.2.7")
        self.assertIn("WARNING ListenOn: session services are told 192.0.2.7:20110, as POD", line)


class OwnerTests(CheckCase):
    """A /proc by hand."""

    def setUp(self) -> None:
        super().setUp()
        self.proc = self.directory / "proc"
        self.file = self.directory / "etc" / "gnetway.yaml"
        (self.proc / "net").mkdir(parents=True)
        head = "  sl  local_address rem_address   st tx rx tr tm retr uid timeout inode\n"
        listens = "   0: 0100007F:28CB 00000000:0000 0A 0:0 00:0 0 0 0 4711 1 0\n"
        connected = "   1: 0100007F:28CC 0100007F:0001 01 0:0 00:0 0 0 0 4712 1 0\n"
        (self.proc / "net" / "tcp").write_text(head + listens + connected)
        unix = f"0: 00000002 00000000 00010000 0001 01 4713 {self.directory}/a.sock\n"
        (self.proc / "net" / "unix").write_text("Num RefCount Protocol Flags …\n" + unix)

    def process(self, pid: int, inode: int, *command: str, parent: int = 1) -> None:
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "fd" / "3").symlink_to(f"socket:[{inode}]")
        (folder / "cwd").symlink_to(self.directory)
        (folder / "comm").write_text(f"{Path(command[0]).name}\n")
        (folder / "cmdline").write_bytes("".join(f"{word}\0" for word in command).encode())
        (folder / "status").write_text(f"Name: x\nPPid:\t{parent}\n")

    def owner(self, place: Address | UnixAddress) -> tuple[str, bool]:
        owner = ListeningSockets(str(self.file), self.proc).owner(place)
        return ("", False) if owner is None else (str(owner), owner.is_this_gateway)

    def test_who_it_is(self) -> None:
        self.process(9, 4713, "/usr/sbin/haproxy", "-f", "haproxy.cfg")
        self.assertEqual(self.owner(Address("0.0.0.0", 10443)), ("", False))
        self.process(812, 4711, "/usr/sbin/nginx")
        self.assertEqual(self.owner(Address("0.0.0.0", 10443)), ("nginx, process 812", False))
        self.assertEqual(self.owner(Address("0.0.0.0", 10444)), ("", False))
        place = UnixAddress(f"{self.directory}/a.sock")
        self.assertEqual(self.owner(place), ("haproxy, process 9", False))

    def test_this_gateway(self) -> None:
        twistd = "/venv/bin/twistd"
        for command, is_this in (
            ((twistd, "-n", "gnetway", "-c", "etc/gnetway.yaml"), True),
            ((twistd, "-n", "gnetway", f"--config={self.file}"), True),
            ((twistd, "gnetway"), True),
            ((twistd, "gnetway", "-cother.yaml"), False),
            ((twistd, "web"), False),
        ):
            self.process(20, 4711, *command)
            found = self.owner(Address("127.0.0.1", 10443))
            self.assertEqual(found, ("twistd, process 20", is_this), command)
            for file in (self.proc / "20").rglob("*"):
                if not file.is_dir() or file.is_symlink():
                    file.unlink()
            (self.proc / "20" / "fd").rmdir()
            (self.proc / "20").rmdir()

    def test_a_socket_that_systemd_has_opened(self) -> None:
        port = self.taken_port()
        tcp = self.proc / "net" / "tcp"
        tcp.write_text(tcp.read_text().replace(":28CB ", f":{port:04X} "))
        self.process(1, 4711, "/usr/lib/systemd/systemd")
        server = {"Addresses": [f"127.0.0.1:{port}"]}
        config = self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": [server]})
        line = self.line(lambda: addresses(self.report, config, self.proc))
        self.assertTrue(line.startswith(f"note    port: 127.0.0.1:{port} "), line)
        self.assertIn("is open already, which is well if it is for the gateway", line)

    def test_its_worker(self) -> None:
        self.process(20, 0, "/venv/bin/twistd", "gnetway", "-c", str(self.file))
        self.process(21, 4711, "python3", "-m", "gnetway.workers.main", "0", parent=20)
        self.assertEqual(self.owner(Address("127.0.0.1", 10443)), ("python3, process 21", True))
