"""What a configuration that is read anew changes in the one that runs, and what only a start can.

A key says itself whether a reload takes it (``Key.live``). What waits for a restart stays as it
runs, so that the next reload names it again.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

from gnetway.config.document import join
from gnetway.config.files import PemFile, RsaKeyConfig
from gnetway.config.load import MESSAGE_OVERHEAD_BYTES, FileConfig
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import ServerConfig
from gnetway.config.session import SessionConfig
from gnetway.config.values import Key, as_json, is_section, keys_of

S = TypeVar("S")


class Changes(NamedTuple):
    """The configuration that is to run, and the paths of the keys that differ in the file.

    Those that are ``taken`` are in it; those that are ``waiting`` need a restart.
    """

    config: GatewayConfig
    taken: tuple[str, ...]
    waiting: tuple[str, ...]


def changes(running: GatewayConfig, read: GatewayConfig) -> Changes:
    """Return what becomes of a configuration that runs when another one was read."""
    comparison = _Comparison()
    config = comparison.section(running, read, "", live=False)
    # These are told in the log at each start; the lines are those of the file as it is.
    config = replace(config, unused=read.unused, notes=read.notes, lines=read.lines)
    taken, waiting = comparison.taken, comparison.waiting
    packet = "Gnetway.Limits.MaxPacketBytes"
    if packet in taken and not _carries_packets(config):
        # Held against each other in the file, but the carrier runs with its own bound.
        limits = replace(
            config.gnetway.limits, max_packet_bytes=running.gnetway.limits.max_packet_bytes
        )
        config = replace(config, gnetway=replace(config.gnetway, limits=limits))
        taken.remove(packet)
        waiting.append(packet)
    return Changes(config, tuple(taken), tuple(dict.fromkeys(waiting)))


def _carries_packets(config: GatewayConfig) -> bool:
    least = config.gnetway.limits.max_packet_bytes + MESSAGE_OVERHEAD_BYTES
    return not config.session.is_remote or config.rpc.max_message_bytes >= least


class _Comparison:
    """Goes through two configurations, and fills the lists of what differs."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.waiting: list[str] = []

    def section(self, running: S, read: S, path: str, live: bool) -> S:
        """Return a section with what is taken of ``read``."""
        values: dict[str, Any] = {}
        for name, entry in _keys(running):
            before, after = getattr(running, name), getattr(read, name)
            if before == after:
                continue
            below = join(path, entry.name)
            is_live = live if entry.live is None else entry.live
            if name == "servers":
                values[name] = tuple(self._servers(before, after))
            elif isinstance(before, SessionConfig) and _place(before) != _place(after):
                # One backend's keys mean nothing to another.
                self.waiting.append(below)
            elif type(before) is type(after) and is_section(before):
                values[name] = self.section(before, after, below, is_live)
            elif is_live:
                self.taken.append(below)
                values[name] = after
            else:
                self.waiting.append(below)
        # Of a dataclass, as all sections are.
        return replace(running, **values) if values else running  # type: ignore[type-var]

    def _servers(
        self, running: tuple[ServerConfig, ...], read: tuple[ServerConfig, ...]
    ) -> Iterator[ServerConfig]:
        """Return the listeners that run, in their order; those that are new need a restart."""
        twins: dict[int, ServerConfig] = {}
        left = list(read)
        # The same addresses, wherever they stand now; then the same item of the file.
        for place in (_where, _item):
            for index, server in enumerate(running):
                found = [one for one in left if place(one) == place(server)]
                if found and index not in twins:
                    twins[index] = found[0]
                    left.remove(found[0])
        for index, server in enumerate(running):
            twin = twins.get(index)
            if twin is None:
                self.waiting.append(server.path)
                yield server
                continue
            if twin.protos != server.protos:
                self.waiting.append(join(twin.path, "Proto"))
            yield self.section(server, twin, twin.path, live=False)
        self.waiting += [one.path for one in left]


def _keys(section: object) -> Iterator[tuple[str, Key]]:
    """Return the fields of a section that are keys, with their names as attributes."""
    # The head of the file has those of the whole.
    cls = FileConfig if isinstance(section, GatewayConfig) else type(section)
    for item, entry in keys_of(cls):
        if hasattr(section, item.name):
            yield item.name, entry


def _place(session: SessionConfig) -> tuple[bool, ...]:
    """Return which session backend it is."""
    return session.embedded is None, session.etcd is None, session.endpoints is None


def _where(server: ServerConfig) -> object:
    return server.addresses, server.protos


def _item(server: ServerConfig) -> object:
    return server.path


#: Characters of a digest: nobody makes another configuration for the sake of the same one.
DIGEST_CHARACTERS: Final = 16


def digest(config: GatewayConfig) -> str:
    """Return what is the same for configurations that mean the same, on any machine.

    Defaults count as if they were written; comments, and the order of keys, do not count. Of keys
    and certificates the fingerprints are in it, and of passwords and tokens only that there are
    some: whoever has the digest could try for them otherwise.
    """
    written = json.dumps(_plain(config), sort_keys=True)
    return sha256(written.encode()).hexdigest()[:DIGEST_CHARACTERS]


def _plain(value: object) -> object:
    if isinstance(value, RsaKeyConfig):
        return value.key.fingerprint_hex
    if isinstance(value, PemFile):
        return value.fingerprint
    if not isinstance(value, GatewayConfig) and not is_section(value):
        return str(value)
    plain = {
        entry.name: bool(getattr(value, name))
        if _is_secret(value, name)
        else as_json(getattr(value, name), _plain)
        for name, entry in _keys(value)
    }
    if isinstance(value, ServerConfig):
        plain["Proto"] = as_json(value.protos, _plain)
    return plain


def _is_secret(section: object, name: str) -> bool:
    """Return whether a field is not to be shown."""
    fields: dict[str, Any] = getattr(type(section), "__dataclass_fields__")  # noqa: B009
    return not fields[name].repr
