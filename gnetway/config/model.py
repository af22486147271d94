"""What a configuration says, as frozen records: one for each section of the file.

Each key's default, unit and bounds stand in its field, and in ``keys.yaml`` what a person should
know of it; docs/configuration.md and etc/*.yaml are made of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from gnetway.config.addresses import Address, UnixAddress, socket_file
from gnetway.config.document import fault_line
from gnetway.config.files import RsaKeyConfig
from gnetway.config.limits import MIB, AdmissionConfig, DrainConfig, LimitsConfig
from gnetway.config.operators import AdminConfig, LogConfig, PrometheusConfig, TelemetryConfig
from gnetway.config.reader import section
from gnetway.config.servers import ServerConfig, servers
from gnetway.config.session import EtcdConfig, RpcConfig, SessionConfig
from gnetway.config.values import flag, key, optional, whole

#: What AuthKeyCacheM: 0 means in Teamgram's gateway, too.
_DEFAULT_CACHE_MIB = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GnetwayConfig:
    """Gnetway: what faces the clients."""

    servers: tuple[ServerConfig, ...] = field(metadata=key("Server", servers))
    auth_key_cache_mib: int = field(
        default=_DEFAULT_CACHE_MIB, metadata=key("AuthKeyCacheM", whole(0, 1 << 20, "MiB"))
    )
    strict_dc: int = field(default=0, metadata=key("StrictDC", whole(0, 999)))
    multicore: bool = field(default=False, metadata=key("Multicore", flag))
    limits: LimitsConfig = field(
        default_factory=LimitsConfig, metadata=key("Limits", section(LimitsConfig), live=True)
    )
    admission: AdmissionConfig = field(
        default_factory=AdmissionConfig,
        metadata=key("Admission", section(AdmissionConfig), live=True),
    )

    drain: DrainConfig = field(
        default_factory=DrainConfig, metadata=key("Drain", section(DrainConfig), live=True)
    )
    take_over: UnixAddress | None = field(
        default=None, metadata=key("TakeOver", optional(socket_file))
    )

    @property
    def key_cache_bytes(self) -> int:
        """Bound of the auth key cache in bytes."""
        return (self.auth_key_cache_mib or _DEFAULT_CACHE_MIB) * MIB


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A whole configuration.

    ``rsa_keys`` are loaded, each once, at least one. With a remote session backend ``listen_on``
    is set: where the gateway's own gRPC service listens; ``etcd`` is where it makes itself known,
    None for nowhere. ``workers`` is in how many processes it serves, None for one a processor;
    ``worker_count`` says what comes of it. ``admin`` and ``prometheus`` are where it can be asked
    how it is, None for nowhere; ``telemetry`` is where traces go, None where nothing is traced;
    ``log`` is None where that is twistd's. ``unused`` has the paths of the keys that were read and
    have no effect, in the order of the file; ``notes`` are lines for the log about what was taken
    in another way than it is written. ``source`` names the file, ``lines`` has the line of each key
    by its path.
    """

    gnetway: GnetwayConfig
    session: SessionConfig
    rsa_keys: tuple[RsaKeyConfig, ...]
    name: str
    listen_on: Address | None = None
    etcd: EtcdConfig | None = None
    use_stream_session: bool = False
    rpc: RpcConfig = field(default_factory=RpcConfig)
    workers: int | None = 1
    admin: AdminConfig | None = None
    prometheus: PrometheusConfig | None = None
    telemetry: TelemetryConfig | None = None
    log: LogConfig | None = None
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def worker_count(self, processors: int) -> int:
        """Return the number of processes, on a machine that has ``processors`` for them.

        The embedded backend lives in one: what it knows of sessions cannot be shared.
        """
        if not self.session.is_remote:
            return 1
        return processors if self.workers is None else self.workers

    def fault(self, path: str, found: str, allowed: str) -> str:
        """Return the line for a fault that shows only at start, such as a port that is taken.

        ``path`` is a key path, e.g. that of an :class:`Address`.
        """
        return fault_line(self.source, self.lines.get(path, 0), path, found, allowed)


# MemoryBudget: what clients can make the gateway hold, shared out to the parts that hold it.
#
#     MaxUnfinishedBytes   1/4    packets of which only a part is here, at least two of the largest
#     MaxUnsentBytes       1/4    what waits for slow readers, at least what one may have
#     Session.Hold         1/16   what waits while no session node answers
#     MaxUnackedBytes      1/16   answers of the embedded backend that no client has acknowledged
#     Rpc.MaxInputBytes    1/8    messages of session services of which a part is here, at least
#                                 two packets
#     AuthKeyCacheM               as it is set
#     MaxExchanges                so many of 4 KiB
#
# The rest is for the connections themselves, and for what is only held while it is worked on. A
# key that is set counts as it is; what is 0 is shared out. Each worker has an equal part.

#: Without a number in the file: such a part of the machine's memory, or of the bound of the
#: control group, within these bounds in bytes. The rest is for others, and for a worst case that
#: is not the last one.
_PART_OF_MACHINE: Final = 4
_LEAST_BYTES: Final = 160 * MIB
_MOST_BYTES: Final = 1024 * MIB

#: What an unfinished key exchange takes, in bytes.
_EXCHANGE_BYTES: Final = 4096

_UNFINISHED_PART: Final = 4
_UNSENT_PART: Final = 4
_HOLD_PART: Final = 16
_UNACKED_PART: Final = 16
_RPC_PART: Final = 8


class MemoryTerm(NamedTuple):
    """What one key lets clients hold, in bytes."""

    path: str
    size: int


def budget_bytes(config: GatewayConfig, machine_bytes: int) -> int:
    """Return the budget of all workers together, on a machine with so much memory."""
    if config.gnetway.limits.memory_budget:
        return config.gnetway.limits.memory_budget * MIB
    return min(max(machine_bytes // _PART_OF_MACHINE, _LEAST_BYTES), _MOST_BYTES)


def share_out(config: GatewayConfig, machine_bytes: int, workers: int = 1) -> GatewayConfig:
    """Return the configuration of one of so many workers, with every part as a number."""
    whole = budget_bytes(config, machine_bytes) // workers
    limits, session = config.gnetway.limits, config.session
    limits = replace(
        limits,
        memory_budget=max(1, whole // MIB),
        max_unfinished_bytes=limits.max_unfinished_bytes
        or max(whole // _UNFINISHED_PART, 2 * limits.max_packet_bytes),
        max_unsent_bytes=limits.max_unsent_bytes
        or max(whole // _UNSENT_PART, limits.max_send_buffer_bytes),
    )
    hold = replace(session.hold, max_bytes=session.hold.max_bytes or max(whole // _HOLD_PART, MIB))
    embedded = session.embedded
    if embedded is not None:
        unacked = embedded.max_unacked_bytes or max(whole // _UNACKED_PART, MIB)
        embedded = replace(embedded, max_unacked_bytes=unacked)
    rpc = replace(
        config.rpc,
        max_input_bytes=config.rpc.max_input_bytes
        or max(whole // _RPC_PART, 2 * limits.max_packet_bytes),
    )
    return replace(
        config,
        rpc=rpc,
        gnetway=replace(config.gnetway, limits=limits),
        session=replace(session, hold=hold, embedded=embedded),
    )


def memory_terms(shared_out: GatewayConfig) -> list[MemoryTerm]:
    """Return what each key of a worker's configuration lets clients hold."""
    gnetway = shared_out.gnetway
    terms = [
        MemoryTerm("MaxUnfinishedBytes", gnetway.limits.max_unfinished_bytes),
        MemoryTerm("MaxUnsentBytes", gnetway.limits.max_unsent_bytes),
        MemoryTerm("AuthKeyCacheM", gnetway.key_cache_bytes),
        MemoryTerm("MaxExchanges", gnetway.limits.max_exchanges * _EXCHANGE_BYTES),
    ]
    embedded = shared_out.session.embedded
    if embedded is not None:
        terms.append(MemoryTerm("Session.Embedded.MaxUnackedBytes", embedded.max_unacked_bytes))
    if shared_out.session.is_remote:
        terms.append(MemoryTerm("Session.Hold.MaxBytes", shared_out.session.hold.max_bytes))
        terms.append(MemoryTerm("Rpc.MaxInputBytes", shared_out.rpc.max_input_bytes))
    return terms


def least_budget_mib(config: GatewayConfig, workers: int) -> int:
    """Return the MiB that MemoryBudget must have for the parts that are set, 0 if it has them."""
    limits = config.gnetway.limits
    if not limits.memory_budget:
        return 0
    shared_out = share_out(config, 0, workers)
    needed = workers * sum(term.size for term in memory_terms(shared_out))
    return -(-needed // MIB) if needed > limits.memory_budget * MIB else 0
