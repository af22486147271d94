"""The files of deploy/ say what is so: ports, paths, options and times are those of the code."""

import fnmatch
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any
from unittest import TestCase
from unittest.mock import patch

import yaml

from gnetway.cli.main import make_parser
from gnetway.config.addresses import Address
from gnetway.config.limits import DrainConfig, LimitsConfig
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.net.http.answers import API_PATHS, HttpSettings
from gnetway.net.websocket.protocol import PATHS
from gnetway.tap import STOP_SECONDS
from tests.live.gateway import rsa_pem
from tests.needs import need_program

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"

#: What the longest of random additions makes of a time without a byte.
IDLE_SPREAD_SECONDS = 9

UNITS = {"s": 1, "m": 60}


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text()


def document(name: str) -> Any:
    return yaml.safe_load(text_of(name))


def seconds(text: str) -> int:
    """Return a time as these programs write it: 75s, 6m."""
    return int(text[:-1]) * UNITS[text[-1]]


class Case(TestCase):
    def load(self, text: str) -> GatewayConfig:
        """Load a configuration whose key and store are in a folder of the test's own."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "server_pkcs1.key").write_bytes(rsa_pem())
        for place in ("/var/lib/gnetway", "/etc/gnetway-key"):
            text = text.replace(f"{place}/", f"{folder}/")
        (folder / "gnetway.yaml").write_text(text)
        config = load_file(str(folder / "gnetway.yaml"))
        self.assertEqual(config.unused, ())
        return config

    def assert_starts_again(self, command: list[str]) -> None:
        """Without a pidfile, in the foreground, so that who was killed starts again."""
        self.assertEqual(command[0].rpartition("/")[2], "twistd")
        self.assertEqual(command[1:4], ["-n", "--pidfile=", "gnetway"])


def client_ports(config: GatewayConfig) -> set[int]:
    return {
        address.port
        for server in config.gnetway.servers
        for address in server.addresses
        if isinstance(address, Address)
    }


def admin_port(config: GatewayConfig) -> int:
    assert config.admin is not None
    (address,) = config.admin.addresses
    assert isinstance(address, Address)
    return address.port


def stop_seconds(config: GatewayConfig | None = None) -> int:
    """Return what a stop takes at most."""
    drain = DrainConfig() if config is None else config.gnetway.drain
    return drain.hard_stop_seconds + int(STOP_SECONDS)


class SystemdTests(Case):
    folder = DEPLOY / "systemd"

    def unit(self, name: str) -> ConfigParser:
        parser = ConfigParser(interpolation=None, strict=False, delimiters="=")
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(self.folder / name)
        return parser

    def program(self, name: str) -> str:
        path = shutil.which(name)
        if path is None:
            self.skipTest(f"{name} is not installed")
        return path

    def done(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def copied(self, name: str, *changes: tuple[str, str]) -> Path:
        """Return a copy that has texts changed, each of which the file has."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        text = (self.folder / name).read_text()
        for before, after in changes:
            self.assertIn(before, text)
            text = text.replace(before, after)
        (folder / name).write_text(text)
        return folder / name

    def test_systemd_takes_the_units(self) -> None:
        analyze = self.program("systemd-analyze")
        # It looks whether the program is there.
        service = self.copied("gnetway.service", ("/opt/gnetway/bin/twistd", sys.executable))
        socket = shutil.copy(self.folder / "gnetway.socket", service.parent)
        self.assertNotIn("gnetway", self.done(analyze, "verify", str(service), str(socket)))

    def test_the_exposure_is_as_the_page_says(self) -> None:
        analyze = self.program("systemd-analyze")
        (told,) = re.findall(r"exposure level[^.]*?([0-9]\.[0-9])", page("systemd.md"))
        at_most = str(round(float(told) * 10) + 1)
        unit = str(self.folder / "gnetway.service")
        self.done(analyze, "security", "--offline=true", f"--threshold={at_most}", unit)

    def test_the_start(self) -> None:
        service = self.unit("gnetway.service")["Service"]
        self.assert_starts_again(shlex.split(service["ExecStart"]))
        self.assertEqual(service["Type"], "notify")
        self.assertGreaterEqual(int(service["WatchdogSec"]), 10)
        self.assertGreaterEqual(int(service["TimeoutStopSec"]), stop_seconds())
        self.assertNotIn("MemoryDenyWriteExecute", service)

    def test_the_user_and_its_folders(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("only root may give files away")
        root = self.enterContext(tempfile.TemporaryDirectory())
        etc = Path(root, "etc")
        etc.mkdir()
        users = str(self.folder / "gnetway.sysusers.conf")
        files = str(self.folder / "gnetway.tmpfiles.conf")
        self.done(self.program("systemd-sysusers"), f"--root={root}", users)
        (user,) = re.findall(r"^gnetway:x:([0-9]+):", (etc / "passwd").read_text(), re.MULTILINE)
        (etc / "gnetway").mkdir()
        (etc / "gnetway" / "server_pkcs1.key").touch()
        self.done(self.program("systemd-tmpfiles"), f"--root={root}", "--create", files)
        modes = {
            path: (stat.S_IMODE(found.st_mode), found.st_uid)
            for path in ("run/gnetway", "etc/gnetway", "etc/gnetway/server_pkcs1.key")
            for found in [Path(root, path).stat()]
        }
        own = int(user)
        self.assertEqual(
            modes,
            {
                "run/gnetway": (0o750, own),
                "etc/gnetway": (0o750, 0),
                "etc/gnetway/server_pkcs1.key": (0o600, own),
            },
        )

    def test_logrotate_takes_its_file(self) -> None:
        user = pwd.getpwuid(os.getuid()).pw_name
        file = self.copied("gnetway.logrotate", ("gnetway gnetway\n", f"{user} {user}\n"))
        self.assertNotIn("error:", self.done(need_program("logrotate"), "-d", str(file)))

    def test_sockets_are_in_the_folder_that_is_made(self) -> None:
        socket = (self.folder / "gnetway.socket").read_text()
        files = (self.folder / "gnetway.tmpfiles.conf").read_text()
        for path in re.findall(r"ListenStream=(/.*)", socket):
            self.assertIn(f"d {os.path.dirname(path)} ", files)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


class DockerTests(Case):
    def instructions(self) -> Iterator[tuple[str, str]]:
        text = re.sub(r"(?m)^\s*#.*\n", "", text_of("Dockerfile")).replace("\\\n", " ")
        for line in filter(str.strip, text.splitlines()):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()

    def test_what_is_copied_is_there_and_nothing_else_is_sent(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        self.assertEqual(next(line for line in ignored if not line.startswith("#")), "*")
        sent = {line[1:] for line in ignored if line.startswith("!")}
        copied = {
            source
            for word, rest in self.instructions()
            if word == "COPY" and not rest.startswith("--from")
            for source in rest.split()[:-1]
        }
        self.assertEqual(copied, sent)
        for source in copied:
            self.assertTrue((ROOT / source).exists(), source)
        for secret in ("etc/server_pkcs1.key", "etc/gnetway.sqlite", ".git", ".venv"):
            self.assertFalse([one for one in sent if fnmatch.fnmatch(secret, one)], secret)

    def test_it_runs_as_a_user_by_number(self) -> None:
        """Kubernetes believes no name for runAsNonRoot."""
        (user,) = (rest for word, rest in self.instructions() if word == "USER")
        self.assertRegex(user, "^[1-9][0-9]+:[1-9][0-9]+$")

    def test_its_python_is_one_of_ours(self) -> None:
        (python,) = (rest for word, rest in self.instructions() if word == "ARG")
        config = ConfigParser(interpolation=None)
        config.read(ROOT / "setup.cfg")
        version = python.removeprefix("PYTHON=")
        self.assertIn(f":: Python :: {version}\n", config["metadata"]["classifiers"] + "\n")

    def test_the_start_and_its_port(self) -> None:
        (command,) = (yaml.safe_load(rest) for word, rest in self.instructions() if word == "CMD")
        options = make_parser().parse_args(command[1:])
        (exposed,) = (rest for word, rest in self.instructions() if word == "EXPOSE")
        (health,) = (rest for word, rest in self.instructions() if word == "HEALTHCHECK")
        self.assertTrue(self.listens(options).endswith(f":{exposed}"))
        # What is asked there is served by `gnetway run`, and by the file for containers.
        self.assertIn(f"'127.0.0.1', {options.admin.rpartition(':')[2]}", health)
        self.assertIn("'/healthz'", health)
        config = self.load(text_of("gnetway-container.yaml"))
        self.assertEqual(admin_port(config), int(options.admin.rpartition(":")[2]))

    def listens(self, options: Any) -> str:
        from gnetway.cli.run import configuration  # noqa: PLC0415

        made: Any = configuration(options, "key", "folder", "auto")
        (address,) = made["Gnetway"]["Server"][0]["Addresses"]
        return str(address)


class ComposeTests(Case):
    def gateways(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in ("compose.yaml", "compose.embedded.yaml"):
            yield name, document(name)["services"]["gateway"]

    def test_the_gateway_is_held_tight(self) -> None:
        for name, gateway in self.gateways():
            with self.subTest(name):
                self.assertTrue(gateway["read_only"])
                self.assertEqual(gateway["cap_drop"], ["ALL"])
                self.assertEqual(seconds(gateway["stop_grace_period"]), stop_seconds())

    def test_the_ports(self) -> None:
        config = self.load(text_of("gnetway-container.yaml"))
        gateway = document("compose.yaml")["services"]["gateway"]
        published = {int(one.rpartition(":")[2]) for one in gateway["ports"]}
        self.assertEqual(published, client_ports(config) | {admin_port(config)})
        # The admin site has no token, so it is this machine's alone.
        (site,) = (one for one in gateway["ports"] if one.endswith(f":{admin_port(config)}"))
        self.assertTrue(site.startswith("127.0.0.1:"))

    def test_the_starts(self) -> None:
        self.assert_starts_again(document("compose.yaml")["services"]["gateway"]["command"])
        embedded = document("compose.embedded.yaml")["services"]["gateway"]["command"]
        make_parser().parse_args([re.sub(r"\$\{\w+:-(.*)\}", r"\1", one) for one in embedded[1:]])

    def test_what_is_mounted_is_there(self) -> None:
        for service in document("compose.yaml")["services"].values():
            for volume in service["volumes"]:
                source = volume.partition(":")[0]
                if source.startswith("."):
                    self.assertTrue((DEPLOY / source).exists(), source)

    def test_monitoring(self) -> None:
        services = document("compose.yaml")["services"]
        prometheus = document("prometheus.yml")
        mounted = {one.split(":")[1] for one in services["prometheus"]["volumes"]}
        self.assertLessEqual(set(prometheus["rule_files"]), mounted)
        (scraped,) = prometheus["scrape_configs"]
        (found,) = scraped["dns_sd_configs"]
        self.assertIn(found["names"][0], services)
        config = self.load(text_of("gnetway-container.yaml"))
        self.assertEqual(found["port"], admin_port(config))
        (source,) = document("grafana/datasource.yaml")["datasources"]
        self.assertEqual(source["url"], "http://prometheus:9090")
        (provider,) = document("grafana/dashboards.yaml")["providers"]
        dashboards = [one.split(":")[1] for one in services["grafana"]["volumes"] if ".json" in one]
        self.assertEqual(
            {os.path.dirname(one) for one in dashboards}, {provider["options"]["path"]}
        )

    def test_nobody_else_is_started_unasked(self) -> None:
        services = document("compose.yaml")["services"]
        unasked = {name for name, service in services.items() if "profiles" not in service}
        self.assertEqual(unasked, {"key", "gateway", "etcd"})


class KubernetesTests(Case):
    def setUp(self) -> None:
        documents = yaml.safe_load_all(text_of("kubernetes.yaml"))
        self.of = {one["kind"]: one for one in documents}
        with patch.dict(os.environ, {"POD_IP": "10.0.0.5"}):
            self.config = self.load(self.of["ConfigMap"]["data"]["gnetway.yaml"])
        self.pod = self.of["Deployment"]["spec"]["template"]
        (self.container,) = self.pod["spec"]["containers"]

    def test_the_ports(self) -> None:
        assert self.config.listen_on is not None
        ports = {one["name"]: one["containerPort"] for one in self.container["ports"]}
        served = client_ports(self.config)
        others = {self.config.listen_on.port, admin_port(self.config)}
        self.assertEqual(set(ports.values()), served | others)
        offered = self.of["Service"]["spec"]["ports"]
        self.assertEqual({ports[one["targetPort"]] for one in offered}, served)
        scraped = self.pod["metadata"]["annotations"]["prometheus.io/port"]
        self.assertEqual(int(scraped), admin_port(self.config))

    def test_the_probes(self) -> None:
        wanted = {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
        for name, path in wanted.items():
            asked = self.container[f"{name}Probe"]["httpGet"]
            self.assertEqual(asked, {"path": path, "port": "admin"})
            site = (ROOT / "gnetway" / "admin" / "site.py").read_text()
            self.assertIn(f'putChild(b"{path[1:]}"', site)

    def test_the_grace_period_is_what_a_stop_takes(self) -> None:
        (sleep,) = {tuple(self.container["lifecycle"]["preStop"]["exec"]["command"])}
        self.assertEqual(sleep[0], "sleep")
        given = self.pod["spec"]["terminationGracePeriodSeconds"]
        self.assertEqual(given, int(sleep[1]) + stop_seconds(self.config))

    def test_the_start(self) -> None:
        self.assert_starts_again(self.container["command"])
        (variable,) = self.container["env"]
        self.assertEqual(variable["name"], "POD_IP")
        self.assertEqual(variable["valueFrom"]["fieldRef"]["fieldPath"], "status.podIP")
        mounted = {one["mountPath"] for one in self.container["volumeMounts"]}
        for path in (self.container["command"][-1], "/etc/gnetway-key/server_pkcs1.key"):
            self.assertIn(os.path.dirname(path), mounted)

    def test_it_is_held_tight(self) -> None:
        pod, container = self.pod["spec"]["securityContext"], self.container["securityContext"]
        self.assertTrue(pod["runAsNonRoot"])
        self.assertIn(f"USER {pod['runAsUser']}:{pod['runAsGroup']}\n", text_of("Dockerfile"))
        self.assertTrue(container["readOnlyRootFilesystem"])
        self.assertFalse(container["allowPrivilegeEscalation"])
        self.assertEqual(container["capabilities"], {"drop": ["ALL"]})

    def test_all_mean_the_same_pods(self) -> None:
        labels = self.pod["metadata"]["labels"]
        spec = self.of["Deployment"]["spec"]
        self.assertEqual(spec["selector"]["matchLabels"], labels)
        self.assertEqual(self.of["Service"]["spec"]["selector"], labels)
        self.assertEqual(self.of["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], labels)


class BalancerTests(Case):
    """The recipes against the gateway's bounds; tests/live/web/test_balancers.py runs them."""

    def setUp(self) -> None:
        self.config = self.load(text_of("gnetway-balanced.yaml"))

    def test_the_paths_of_web_clients(self) -> None:
        for name in ("nginx.conf", "Caddyfile"):
            (pattern,) = re.findall(r"\^/api\S+\$", text_of(name))
            for path in {path.decode() for path in API_PATHS} | PATHS:
                self.assertRegex(path, pattern, name)
            for other in ("/apiary", "/api/status", "/", "/apiws/x"):
                self.assertNotRegex(other, pattern, name)

    def test_the_ports(self) -> None:
        (web,) = {
            str(address)
            for server in self.config.gnetway.servers
            if server.trusted_proxies
            for address in server.addresses
        }
        (native,) = self.config.gnetway.servers[0].addresses
        self.assertIn(f"server gateway1 {native}\n", text_of("haproxy.cfg"))
        self.assertIn(f"server {native};", text_of("nginx.conf"))
        self.assertIn(f"server {web};", text_of("nginx.conf"))
        self.assertIn(f"reverse_proxy @mtproto {web} {{", text_of("Caddyfile"))
        self.assertIn(f" port {admin_port(self.config)} ", text_of("haproxy.cfg"))

    def test_what_is_silent_is_the_gateways_to_end(self) -> None:
        idle = LimitsConfig().idle_seconds + IDLE_SPREAD_SECONDS
        haproxy, nginx = text_of("haproxy.cfg"), text_of("nginx.conf")
        for found in (
            *re.findall(r"timeout (?:client|server|tunnel) (\S+)", haproxy),
            *re.findall(r"proxy_timeout (\S+);", nginx),
        ):
            self.assertGreater(seconds(found), idle)

    def test_what_web_clients_wait_for(self) -> None:
        pings = [
            one.websocket.ping_seconds for one in self.config.gnetway.servers if one.trusted_proxies
        ]
        nginx, caddy = text_of("nginx.conf"), text_of("Caddyfile")
        for found in (
            *re.findall(r"proxy_(?:read|send)_timeout (\S+);", nginx),
            *re.findall(r"response_header_timeout (\S+)", caddy),
        ):
            self.assertGreater(seconds(found), 2 * min(pings))
            self.assertGreater(seconds(found), HttpSettings().longest_wait_seconds + 5)
        for found in (
            *re.findall(r"keepalive_timeout (\S+);", nginx),
            *re.findall(r"\bkeepalive (\S+)\n", caddy),
        ):
            self.assertLess(seconds(found), LimitsConfig().http_idle_seconds)

    def test_the_largest_packet_passes(self) -> None:
        (most,) = re.findall(r"client_max_body_size ([0-9]+)m;", text_of("nginx.conf"))
        self.assertGreater(int(most) << 20, LimitsConfig().max_packet_bytes)

    def test_haproxy_looks_again_before_clients_leave(self) -> None:
        (between, times) = re.findall(r"inter (\S+) fall (\d+)", text_of("haproxy.cfg"))[0]
        grace = self.config.gnetway.drain.grace_seconds
        self.assertGreater(grace, seconds(between) * int(times))
