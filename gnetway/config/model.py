"""What a configuration says, as frozen records: one for each section of the file.

Each key's default, unit and reason stand in its field; ``etc/gnetway.yaml`` shows them all, with
``etc/gnetway-cluster.yaml`` for what only a remote session backend needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gnetway.config.addresses import Address
from gnetway.config.admission import AdmissionConfig
from gnetway.config.etcd import EtcdConfig
from gnetway.config.faults import fault_line
from gnetway.config.limits import MIB, LimitsConfig
from gnetway.config.reader import section
from gnetway.config.rpc import RpcConfig
from gnetway.config.rsa_keys import RsaKeyConfig
from gnetway.config.section import key
from gnetway.config.servers import ServerConfig
from gnetway.config.session import SessionConfig
from gnetway.config.shared import servers
from gnetway.config.values import flag, whole

#: What AuthKeyCacheM: 0 means in Teamgram's gateway, too.
_DEFAULT_CACHE_MIB = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GnetwayConfig:
    """Gnetway: what faces the clients."""

    servers: tuple[ServerConfig, ...] = field(
        metadata=key("Server", servers, "", "a list of listeners")
    )
    auth_key_cache_mib: int = field(
        default=_DEFAULT_CACHE_MIB,
        metadata=key(
            "AuthKeyCacheM",
            whole(0, 1 << 20),
            "MiB",
            "more than 10,000 auth keys; 0 means the default, as in Teamgram's gateway",
        ),
    )
    strict_dc: int = field(
        default=0,
        metadata=key(
            "StrictDC",
            whole(0, 999),
            "",
            "0 takes a client of any data centre, since many name a random one; with another"
            " number those that name another are told -444",
        ),
    )
    multicore: bool = field(
        default=False,
        metadata=key("Multicore", flag, "", "Teamgram's word for Workers: auto, which decides"),
    )
    limits: LimitsConfig = field(
        default_factory=LimitsConfig,
        metadata=key("Limits", section(LimitsConfig), "", "each has its own default"),
    )
    admission: AdmissionConfig = field(
        default_factory=AdmissionConfig,
        metadata=key("Admission", section(AdmissionConfig), "", "each has its own default"),
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
    ``worker_count`` says what comes of it. ``unused`` has the paths of the keys that
    were read and have no effect, in the order of the file; ``notes`` are lines for the log about
    what was taken in another way than it is written. ``source`` names the file, ``lines``
    has the line of each key by its path.
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
