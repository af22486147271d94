"""From a file or a mapping to a :class:`GatewayConfig`, or to all of its faults at once."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Final

from gnetway.config.addresses import Address, UnixAddress, address, listener_address
from gnetway.config.document import Faults, Node, Rejected, from_mapping, from_yaml, shown
from gnetway.config.files import RsaKeyConfig, Unreadable, read_bounded, rsa_key, without_doubles
from gnetway.config.model import GatewayConfig, GnetwayConfig, least_budget_mib
from gnetway.config.operators import (
    AdminConfig,
    LogConfig,
    PrometheusConfig,
    TelemetryConfig,
    log,
    prometheus,
    telemetry,
)
from gnetway.config.reader import section
from gnetway.config.servers import ServerConfig
from gnetway.config.session import EtcdConfig, RpcConfig, SessionConfig, etcd, session
from gnetway.config.values import (
    Reading,
    described,
    described_as,
    flag,
    is_needed,
    is_whole,
    key,
    keys_of,
    list_of,
    optional,
    text,
)
from gnetway.errors import ConfigError

# Server at the head of the file: the listeners of Teamgram's gateway before there was Gnetway.

#: What the log says of a file that has it.
OLDER_NOTE: Final = (
    "Server, the layout before Gnetway, is taken: its Addrs as if they stood in Gnetway.Server"
    " with Proto: tcp"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderServerConfig:
    """Server: addresses that speak plain TCP, and what Gnetway has a key for as well."""

    addresses: tuple[Address | UnixAddress, ...] = field(
        metadata=key("Addrs", list_of(listener_address))
    )
    multicore: bool = field(default=False, metadata=key("Multicore", flag))


@described_as(section(OlderServerConfig))
def older_server(node: Node, reading: Reading) -> OlderServerConfig:
    """Read Server; a list of listeners belongs elsewhere."""
    if isinstance(node.value, list):
        reading.reject(node, "a list", "a mapping with Addrs", "'Gnetway.Server'")
    return section(OlderServerConfig)(node, reading)


# Workers: in how many processes the gateway serves its clients.

#: As many as the machine has processors for this program.
AUTO: Final = "auto"

#: More processes than any machine has processors for; each takes tens of MiB.
MAX_WORKERS: Final = 256


_WORKERS: Final = f"a whole number of processes from 1 to {MAX_WORKERS}, or {AUTO}"


@described(
    {"anyOf": [{"const": AUTO}, {"type": "integer", "minimum": 1, "maximum": MAX_WORKERS}]},
    _WORKERS,
    "processes",
)
def workers(node: Node, reading: Reading) -> int | None:
    """Read a number of processes; None for ``auto``."""
    value = node.value
    if value == AUTO:
        return None
    if not is_whole(value, 1, MAX_WORKERS):
        reading.reject(node, shown(value), _WORKERS)
    return value


#: Bytes of a configuration file: the longest known has 2 KB.
MAX_CONFIG_BYTES: Final = 256 * 1024

#: The two keys of the form for a single RSA key, in lower case.
_SINGLE_KEY_NAMES: Final = frozenset({"keyfile", "keyfingerprint"})

#: What protobuf and the fields beside the payload add to a client's packet, with room to spare.
MESSAGE_OVERHEAD_BYTES: Final = 4096

#: Without effect beside Session.Embedded: keys of the file, and keys of Session.
_REMOTE: Final = frozenset({"ListenOn", "Etcd", "UseStreamSession", "Rpc", "Telemetry"})
_REMOTE_INNER: Final = frozenset({"Announce", "Timeout", "MaxMessageBytes", "Hold"})

_LISTENERS: Final = "a section with Server: listeners"

_BUDGET: Final = "Gnetway.Limits.MemoryBudget"

_NO_KEY: Final = "RSAKey, a list with KeyFile: the path of an RSA key in PEM"


@described({"type": ["string", "integer"]}, "as in an item of RSAKey")
def _elsewhere(_node: Node, _reading: Reading) -> None:
    """Pass by a key that :func:`_single_key` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileConfig:
    """The sections and keys at the head of the file."""

    gnetway: GnetwayConfig | None = field(
        default=None, metadata=key("Gnetway", section(GnetwayConfig))
    )
    older: OlderServerConfig | None = field(default=None, metadata=key("Server", older_server))
    session: SessionConfig = field(metadata=key("Session", session))
    name: str = field(default="interface.gateway", metadata=key("Name", text))
    listen_on: Address | None = field(default=None, metadata=key("ListenOn", optional(address)))
    etcd: EtcdConfig | None = field(default=None, metadata=key("Etcd", optional(etcd(EtcdConfig))))
    use_stream_session: bool = field(default=False, metadata=key("UseStreamSession", flag))
    rpc: RpcConfig = field(default_factory=RpcConfig, metadata=key("Rpc", section(RpcConfig)))
    workers: int | None = field(default=1, metadata=key("Workers", workers))
    admin: AdminConfig | None = field(
        default=None, metadata=key("Admin", optional(section(AdminConfig)))
    )
    prometheus: PrometheusConfig | None = field(
        default=None, metadata=key("Prometheus", optional(prometheus))
    )
    telemetry: TelemetryConfig | None = field(
        default=None, metadata=key("Telemetry", optional(telemetry))
    )
    log: LogConfig | None = field(default=None, metadata=key("Log", optional(log)))
    rsa_keys: tuple[RsaKeyConfig, ...] = field(
        default=(), metadata=key("RSAKey", list_of(rsa_key), live=True)
    )
    key_file: None = field(default=None, metadata=key("KeyFile", _elsewhere, live=True))
    fingerprint: None = field(default=None, metadata=key("KeyFingerprint", _elsewhere, live=True))


def load_file(path: str) -> GatewayConfig:
    """Read a YAML file; relative paths in it mean its directory (see ``files.py``).

    :raises ConfigError: with every fault that it has.
    """
    faults = Faults(path)
    return _load(lambda: _read_yaml(path, faults), _reading_of(path, faults))


def load_keys(path: str, *names: str) -> dict[str, Any]:
    """Return some keys of the file's head, whatever stands in the others.

    What is not there has its default, or is None where it has none. So who may not read the RSA
    key can ask where the gateway is.

    :raises ConfigError: with every fault of the file as such, or of these keys.
    """
    faults = Faults(path)
    reading = _reading_of(path, faults)
    wanted = {entry.name: (item, entry) for item, entry in keys_of(FileConfig)}
    read: dict[str, Any] = {}
    with suppress(Rejected):
        root = _read_yaml(path, faults)
        if not isinstance(root.value, dict):
            reading.reject(root, shown(root.value), "a mapping of keys")
        spelt = {name.casefold(): child for name, child in root.value.items()}
        for name in names:
            item, entry = wanted[name]
            child = spelt.get(name.casefold())
            if child is None:
                read[name] = None if is_needed(item) else _default(item)
                continue
            child.path = child.pattern = name
            reading.lines[name] = child.line
            with suppress(Rejected):
                read[name] = entry.parse(child, reading)
    if faults.lines():
        raise ConfigError(faults.lines())
    return read


def _reading_of(path: str, faults: Faults) -> Reading:
    return Reading(faults, os.path.dirname(os.path.abspath(path)))


def _read_yaml(path: str, faults: Faults) -> Node:
    try:
        content = read_bounded(path, MAX_CONFIG_BYTES)
        return from_yaml(content.decode("utf-8-sig"), faults)
    except Unreadable as error:
        faults.add(0, "", f"no readable file: {error}", "a YAML file")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        faults.add(line, "", "bytes that are no UTF-8", "a YAML file in UTF-8")
    raise Rejected


def load_mapping(data: Mapping[str, object], source: str = "<dict>") -> GatewayConfig:
    """Read a mapping of the file's form; relative paths in it mean the current directory.

    ``source`` stands for the file's name in faults.

    :raises ConfigError: with every fault that it has.
    """
    faults = Faults(source)
    return _load(lambda: from_mapping(data, faults), Reading(faults, os.getcwd()))


def _load(parse: Callable[[], Node], reading: Reading) -> GatewayConfig:
    faults = reading.faults
    file = gnetway = None
    single: tuple[RsaKeyConfig, ...] = ()
    # Each part for itself: a fault in one must not hide those of the other.
    with suppress(Rejected):
        root = parse()
        _check_listeners(root, reading)
        with suppress(Rejected):
            file = section(FileConfig)(root, reading)
            gnetway = _gnetway(file)
        single = _single_key(root, reading)
        if file is not None and gnetway is not None:
            _check_together(file, gnetway, root.line, reading)
    if file is None or gnetway is None or faults.lines():
        raise ConfigError(faults.lines())
    config = GatewayConfig(
        gnetway=gnetway,
        session=file.session,
        rsa_keys=without_doubles(file.rsa_keys + single),
        name=file.name,
        listen_on=file.listen_on,
        etcd=file.etcd,
        use_stream_session=file.use_stream_session,
        rpc=file.rpc,
        # Multicore, which is older, counts where Workers is not set: None for one a processor.
        workers=None if gnetway.multicore and "Workers" not in reading.lines else file.workers,
        admin=file.admin,
        prometheus=file.prometheus,
        telemetry=file.telemetry,
        log=file.log,
        notes=() if file.older is None else (OLDER_NOTE,),
        unused=tuple(sorted(reading.unused, key=lambda path: reading.lines[path])),
        source=faults.source,
        lines=reading.lines,
    )
    if least := least_budget_mib(config, config.worker_count(1)):
        found = f"{config.gnetway.limits.memory_budget} MiB, less than its parts can hold together"
        raise ConfigError([config.fault(_BUDGET, found, f"at least {least}, or smaller parts")])
    return config


def _check_listeners(root: Node, reading: Reading) -> None:
    """Want Gnetway, or the layout before it, but not both."""
    if not isinstance(root.value, dict | None):
        return
    spelt = {name.casefold(): node for name, node in (root.value or {}).items()}
    if "gnetway" not in spelt and "server" not in spelt:
        reading.faults.add(root.line, "Gnetway", "nothing", _LISTENERS)
    elif "gnetway" in spelt and "server" in spelt:
        line, found = spelt["server"].line, "it beside Gnetway"
        reading.faults.add(line, "Server", found, "one of the two", "'Gnetway.Server'")


def _gnetway(file: FileConfig) -> GnetwayConfig | None:
    """Return what faces the clients, also from the layout before Gnetway."""
    if file.older is None:
        return file.gnetway
    listener = ServerConfig(addresses=file.older.addresses)
    return GnetwayConfig(servers=(listener,), multicore=file.older.multicore)


def _check_together(file: FileConfig, gnetway: GnetwayConfig, line: int, reading: Reading) -> None:
    """Check what no section can know for itself."""
    if gnetway.multicore and "Workers" in reading.lines:
        older = "Server.Multicore"
        reading.unused.append(older if older in reading.lines else "Gnetway.Multicore")
    if not file.session.is_remote:
        _check_embedded(file, gnetway, reading)
        reading.unused.extend(_set_for_remote(file))
        return
    reading.unused.extend(_public_addresses(gnetway))
    faults = reading.faults
    if file.listen_on is None:
        faults.add(line, "ListenOn", "nothing", "host:port, where session services reach this one")
    if file.session.etcd is not None and file.etcd is None:
        allowed = "a section with Hosts, by which session services find this gateway"
        faults.add(line, "Etcd", "nothing", allowed)
    least = gnetway.limits.max_packet_bytes + MESSAGE_OVERHEAD_BYTES
    if file.rpc.max_message_bytes < least:
        path = "Rpc.MaxMessageBytes"
        allowed = f"at least {least}, for a packet of Gnetway.Limits.MaxPacketBytes"
        faults.add(reading.lines.get(path, line), path, str(file.rpc.max_message_bytes), allowed)
    if 0 < file.rpc.max_input_bytes < file.rpc.max_message_bytes:
        path = "Rpc.MaxInputBytes"
        allowed = f"at least {file.rpc.max_message_bytes}, for a message of Rpc.MaxMessageBytes"
        faults.add(reading.lines.get(path, line), path, str(file.rpc.max_input_bytes), allowed)


def _check_embedded(file: FileConfig, gnetway: GnetwayConfig, reading: Reading) -> None:
    """Check what the backend in this process does not go with.

    It lives in one process, and clients are not told of a data centre whose clients are turned
    away.
    """
    if file.workers is not None and file.workers > 1:
        found = f"{file.workers} beside Session.Embedded, which lives in one process"
        allowed = f"1 or {AUTO}; several with Session.Etcd or Session.Endpoints"
        reading.faults.add(reading.lines["Workers"], "Workers", found, allowed)

    embedded, strict_dc = file.session.embedded, gnetway.strict_dc
    this_dc = None if embedded is None else embedded.this_dc
    if strict_dc and this_dc not in (None, strict_dc):
        path = "Session.Embedded.ThisDC"
        found = f"{this_dc} beside Gnetway.StrictDC: {strict_dc}"
        reading.faults.add(reading.lines[path], path, found, f"{strict_dc}, or leave it out")


def _public_addresses(gnetway: GnetwayConfig) -> list[str]:
    """Return the paths of the keys that only the embedded backend gives a meaning."""
    return [
        f"Gnetway.Server[{index}].PublicAddress"
        for index, server in enumerate(gnetway.servers)
        if server.speaks_tcp and server.public_addresses
    ]


def _set_for_remote(file: FileConfig) -> list[str]:
    """Return the paths of the keys that only a remote session backend gives a meaning."""
    return [
        f"{prefix}{entry.name}"
        for values, prefix, names in (
            (file, "", _REMOTE),
            (file.session, "Session.", _REMOTE_INNER),
        )
        for item, entry in keys_of(type(values))
        if entry.name in names and getattr(values, item.name) != _default(item)
    ]


def _default(item: Field[Any]) -> object:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _single_key(root: Node, reading: Reading) -> tuple[RsaKeyConfig, ...]:
    """Read KeyFile and KeyFingerprint at the head of the file, the older form of RSAKey."""
    if not isinstance(root.value, dict):
        return ()
    form = {
        name: child for name, child in root.value.items() if name.casefold() in _SINGLE_KEY_NAMES
    }
    if form:
        return (rsa_key(Node(form, root.line, ""), reading),)
    if "RSAKey" not in reading.lines:
        reading.faults.add(root.line, "RSAKey", "nothing", _NO_KEY)
    return ()
