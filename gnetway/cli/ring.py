"""``gnetway ring KEYID``: which session node has an auth key, by the hash that all share."""

import argparse
import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

from gnetway.cli.asking import add_config_option, run_in_reactor
from gnetway.cli.terminal import Column, printable, room, say, table
from gnetway.config.load import load_keys
from gnetway.errors import GatewayError

if TYPE_CHECKING:
    from gnetway.config.session import SessionConfig, SessionEtcdConfig
    from gnetway.interfaces import IGatewayReactor

_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}")
_HEX: Final = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,16}")

#: Seconds for one host of etcd.
_ETCD_SECONDS: Final = 5.0


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "ring",
        help="tell which session node has an auth key",
        description="Tell which session node has an auth key by the consistent hash, who would take"
        " over from it, and the share of each node. The nodes are those that etcd, or the"
        " configuration, names at this moment; no gateway is asked, which leaves out those"
        " that it is not connected to.",
    )
    parser.add_argument(
        "key_id",
        nargs="?",
        type=auth_key_id,
        metavar="KEYID",
        help="its auth_key_id: decimal, signed or not, or hexadecimal with 0x (without it where"
        " there is a letter); the shares alone without one",
    )
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def auth_key_id(text: str) -> int:
    """Return an auth_key_id as the signed number that the ring hashes.

    :raises argparse.ArgumentTypeError: it is none.
    """
    number = None
    if _DECIMAL.fullmatch(text):
        number = int(text)
    elif _HEX.fullmatch(text):
        number = int(text, 16)
    if number is None or not -(1 << 63) <= number < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 64 bits")
    return number - (1 << 64) if number >= 1 << 63 else number


def run(options: argparse.Namespace) -> int:
    """Print where the key is, and the shares."""
    try:
        # It hashes by mmh3; what asks etcd needs more packages.
        from gnetway.dispatch.ring import Ring  # noqa: PLC0415

        nodes = _nodes(options.config)
    except ImportError as error:
        raise GatewayError(f"{error.name} is missing: pip install 'gnetway[remote]'") from error
    ring = Ring()
    for node in nodes:
        ring.add(node)
    key_id: int | None = options.key_id
    order = [] if key_id is None else list(ring.nodes_from(key_id))
    shares = ring.shares()
    if options.json:
        found: dict[str, object] = {"shares": shares}
        if key_id is not None:
            found = {"auth_key_id": key_id, "node": order[0], "order": order} | found
        say(json.dumps(found, indent=1))
        return 0
    if key_id is not None:
        say(f"auth key {key_id} (0x{key_id % (1 << 64):016x}): {printable(order[0])}")
        if order[1:]:
            say(f"then, where nodes leave the ring: {printable(', '.join(order[1:]))}")
    columns = [Column("NODE", shrinks=True), Column("SHARE", right=True)]
    rows = [[node, f"{share:.1%}"] for node, share in sorted(shares.items())]
    for line in table(columns, rows, room()):
        say(line)
    return 0


def _nodes(file: str) -> list[str]:
    """Return the session nodes, at least one.

    :raises GatewayError: there is none, or nobody tells of them.
    """
    keys = load_keys(file, "Session", "Rpc")
    session: SessionConfig | None = keys["Session"]
    if session is None or not session.is_remote:
        raise GatewayError(
            f"{file}: Session has no session nodes, so there is no ring: all keys are the embedded"
            " backend's"
        )
    if session.etcd is None:
        return list(session.endpoints or ())
    nodes = _nodes_of_etcd(session.etcd, keys["Rpc"].carrier)
    if not nodes:
        raise GatewayError(f"etcd names no session node below {session.etcd.prefix}/")
    return nodes


def _nodes_of_etcd(etcd: "SessionEtcdConfig", carrier_name: Any) -> list[str]:
    """Return the session nodes in the order in which gateways know them.

    :raises GatewayError: no host of etcd tells.
    """
    from gnetway.cli.check_peers import read_etcd  # noqa: PLC0415
    from gnetway.discovery.etcd_supervisor import EtcdError  # noqa: PLC0415
    from gnetway.discovery.nodes import ListedNodes  # noqa: PLC0415
    from gnetway.rpc.calls import IRpcReactor  # noqa: PLC0415
    from gnetway.rpc.carriers import carrier  # noqa: PLC0415
    from gnetway.runtime.clocks import TurnEnd  # noqa: PLC0415

    listed: list[list[str]] = []
    failed: list[str] = []

    async def ask(reactor: "IGatewayReactor") -> None:
        chosen = carrier(carrier_name, cast(IRpcReactor, reactor), TurnEnd(reactor))
        for host in etcd.hosts:
            try:
                snapshot = await read_etcd(reactor, chosen, host, etcd, _ETCD_SECONDS)
            except EtcdError as error:
                failed.append(str(error))
                continue
            nodes = ListedNodes()
            nodes.replace(snapshot.entries, 0.0)
            listed.append(nodes.nodes())
            return

    if not run_in_reactor(ask):
        raise KeyboardInterrupt
    if not listed:
        raise GatewayError(f"etcd does not tell the session nodes: {'; '.join(failed)}")
    return listed[0]
