"""From a file or a mapping to a :class:`GatewayConfig`, or to all of its faults at once."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from gnetway.config.document import Node, from_mapping, from_yaml
from gnetway.config.faults import Faults, Rejected
from gnetway.config.files import Unreadable, read_bounded
from gnetway.config.model import GatewayConfig, GnetwayConfig, SessionConfig
from gnetway.config.reader import section
from gnetway.config.rsa_keys import RsaKeyConfig, rsa_key, without_doubles
from gnetway.config.section import Reading, key
from gnetway.config.values import list_of, text
from gnetway.errors import ConfigError

#: Bytes of a configuration file: the longest known has 2 KB.
MAX_CONFIG_BYTES: Final = 256 * 1024

#: The two keys of the form for a single RSA key, in lower case.
_SINGLE_KEY_NAMES: Final = frozenset({"keyfile", "keyfingerprint"})

_NO_KEY: Final = "RSAKey, a list with KeyFile: the path of an RSA key in PEM"


def _elsewhere(_node: Node, _reading: Reading) -> None:
    """Pass by a key that :func:`_single_key` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The sections and keys at the head of the file."""

    gnetway: GnetwayConfig = field(
        metadata=key("Gnetway", section(GnetwayConfig), "", "a section with Server: listeners")
    )
    session: SessionConfig = field(
        metadata=key("Session", section(SessionConfig), "", "a section with Embedded")
    )
    name: str = field(
        default="interface.gateway", metadata=key("Name", text, "", "what Teamgram's file says")
    )
    rsa_keys: tuple[RsaKeyConfig, ...] = field(
        default=(), metadata=key("RSAKey", list_of(rsa_key), "", "there may be several")
    )
    key_file: None = field(
        default=None, metadata=key("KeyFile", _elsewhere, "", "the form for a single key")
    )
    fingerprint: None = field(
        default=None, metadata=key("KeyFingerprint", _elsewhere, "", "that of KeyFile")
    )


def load_file(path: str) -> GatewayConfig:
    """Read a YAML file; relative paths in it mean its directory (see ``files.py``).

    :raises ConfigError: with every fault that it has.
    """
    faults = Faults(path)

    def parse() -> Node:
        try:
            content = read_bounded(path, MAX_CONFIG_BYTES)
            return from_yaml(content.decode("utf-8-sig"), faults)
        except Unreadable as error:
            faults.add(0, "", f"no readable file: {error}", "a YAML file")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            faults.add(line, "", "bytes that are no UTF-8", "a YAML file in UTF-8")
        raise Rejected

    return _load(parse, Reading(faults, os.path.dirname(os.path.abspath(path))))


def load_mapping(data: Mapping[str, object], source: str = "<dict>") -> GatewayConfig:
    """Read a mapping of the file's form; relative paths in it mean the current directory.

    ``source`` stands for the file's name in faults.

    :raises ConfigError: with every fault that it has.
    """
    faults = Faults(source)
    return _load(lambda: from_mapping(data, faults), Reading(faults, os.getcwd()))


def _load(parse: Callable[[], Node], reading: Reading) -> GatewayConfig:
    faults = reading.faults
    file = None
    single: tuple[RsaKeyConfig, ...] = ()
    # Each part for itself: a fault in one must not hide those of the other.
    with suppress(Rejected):
        root = parse()
        with suppress(Rejected):
            file = section(_File)(root, reading)
        single = _single_key(root, reading)
    if file is None or faults.lines():
        raise ConfigError(faults.lines())
    return GatewayConfig(
        gnetway=file.gnetway,
        session=file.session,
        rsa_keys=without_doubles(file.rsa_keys + single),
        name=file.name,
        unused=tuple(reading.unused),
        source=faults.source,
        lines=reading.lines,
    )


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
