"""Etcd and Session.Etcd: where etcd is, and under which prefix services make themselves known.

The names are those of go-zero. A certificate turns TLS on.
"""

from dataclasses import dataclass, field

from gnetway.config.addresses import endpoint
from gnetway.config.document import Node, join
from gnetway.config.faults import Rejected
from gnetway.config.pem_files import PemFile, certificates, check_pair, private_key
from gnetway.config.reader import section
from gnetway.config.section import Reading, key
from gnetway.config.values import list_of, optional, secret, text


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdConfig:
    """How to reach etcd, and a prefix in it.

    ``hosts`` are members of one cluster. ``user`` and ``password`` are both given or neither, as
    are ``cert`` and ``cert_key``, the client's certificate, which wants a ``ca``.
    """

    hosts: tuple[str, ...] = field(
        metadata=key("Hosts", list_of(endpoint), "", "a list of host:port, members of one etcd")
    )
    prefix: str = field(
        default="interface.gateway",
        metadata=key("Key", text, "", "where Teamgram's session services look for gateways"),
    )
    user: str | None = field(
        default=None, metadata=key("User", optional(text), "", "etcd may know no users")
    )
    password: str | None = field(
        default=None, repr=False, metadata=key("Pass", optional(secret), "", "that of User")
    )
    ca: PemFile | None = field(
        default=None,
        metadata=key("CACertFile", optional(certificates), "", "plaintext; a CA turns TLS on"),
    )
    cert: PemFile | None = field(
        default=None,
        metadata=key("CertFile", optional(certificates), "", "etcd may ask no one for one"),
    )
    cert_key: PemFile | None = field(
        default=None, metadata=key("CertKeyFile", optional(private_key), "", "that of CertFile")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEtcdConfig(EtcdConfig):
    """Session.Etcd: the same, with the prefix that is watched."""

    prefix: str = field(
        default="interface.session",
        metadata=key("Key", text, "", "where Teamgram's session services make themselves known"),
    )


def gateway_etcd(node: Node, reading: Reading) -> EtcdConfig:
    """Read Etcd."""
    return _checked(section(EtcdConfig)(node, reading), node, reading)


def session_etcd(node: Node, reading: Reading) -> SessionEtcdConfig:
    """Read Session.Etcd."""
    read = section(SessionEtcdConfig)(node, reading)
    _checked(read, node, reading)
    return read


def _checked(read: EtcdConfig, node: Node, reading: Reading) -> EtcdConfig:
    for name, value, needed_by, needs in (
        ("Pass", read.password, "User", read.user),
        ("User", read.user, "Pass", read.password),
        ("CertKeyFile", read.cert_key, "CertFile", read.cert),
        ("CertFile", read.cert, "CertKeyFile", read.cert_key),
        ("CACertFile", read.ca, "CertFile", read.cert),
    ):
        if needs is not None and value is None:
            reading.faults.add(
                node.line, join(node.path, name), "nothing", f"it beside {needed_by}"
            )
            raise Rejected
    check_pair(read.cert, read.cert_key, join(node.path, "CertKeyFile"), reading)
    return read
