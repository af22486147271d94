"""``gnetway config``: what a configuration comes to, key by key; and what a file may be.

    file       it stands there, at that line
    default    nothing is said, and what the key is for and why its default is that is told
    derived    nothing, or 0, is said, and it follows from this machine or from another key

What is derived is that of a gateway which this very user would start on this machine now.
"""

import argparse
import json
import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gnetway.cli.asking import add_config_option
from gnetway.cli.terminal import Column, printable, room, say, table

if TYPE_CHECKING:
    from dataclasses import Field

    from gnetway.config.model import GatewayConfig
    from gnetway.config.values import Key, Schema

#: In place of what nobody is to see.
_HIDDEN: Final = "***"


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "config",
        help="print what a configuration comes to, and where each value is from",
        description="Print every key with its value and where that is from: a line of the file, the"
        " default, or derived from this machine. Passwords and tokens are not shown.",
    )
    add_config_option(parser)
    parser.add_argument(
        "--schema",
        action="store_true",
        help="print the JSON Schema of configurations, for editors; no file is read",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Setting:
    """A key, its value as JSON has it, and where that is from; ``line`` is 0 for no line.

    ``live`` is whether a reload takes another value.
    """

    path: str
    value: object
    unit: str
    source: str
    line: int
    reason: str
    live: bool
    has_effect: bool = True


def run(options: argparse.Namespace) -> int:
    """Print the configuration, or the schema."""
    from gnetway.config.load import load_file  # noqa: PLC0415

    if options.schema:
        say(json.dumps(file_schema(), indent=1))
        return 0
    config = load_file(options.config)
    settings = list(Settings(config, derived(config)).all())
    if options.json:
        shown = [
            {name: getattr(setting, name) for name in Setting.__dataclass_fields__}
            for setting in settings
        ]
        whole = {"file": config.source, "settings": shown, "notes": list(config.notes)}
        say(json.dumps(whole | {"unused": list(config.unused)}, indent=1))
        return 0
    columns = [
        Column("KEY"),
        Column("VALUE", shrinks=True),
        Column("CHANGES BY"),
        Column("FROM", shrinks=True),
    ]
    rows = [
        [
            setting.path,
            f"{_text(setting.value)} {setting.unit}".strip(),
            "reload" if setting.live else "restart",
            _from(setting, config),
        ]
        for setting in settings
    ]
    for line in table(columns, rows, room()):
        say(line)
    for note in config.notes:
        say(printable(note))
    others = [path for path in config.unused if path not in {one.path for one in settings}]
    if others:
        say(printable(f"without effect: {', '.join(others)}"))
    return 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _from(setting: Setting, config: "GatewayConfig") -> str:
    place = f"{config.source}:{setting.line}" if setting.line else ""
    if setting.source == "file":
        return place + ("" if setting.has_effect else ", without effect")
    # Its first sentence; docs/configuration.md has all of it.
    reason = " ".join(setting.reason.split()).partition(". ")[0].removesuffix(".")
    return f"{setting.source}{f' ({place})' if place else ''}: {reason}"


def file_schema() -> "Schema":
    """Return what a file may be, as JSON Schema says it, but for what keys ask of each other."""
    from gnetway.config.load import FileConfig  # noqa: PLC0415
    from gnetway.config.reader import section  # noqa: PLC0415
    from gnetway.config.values import schema_of  # noqa: PLC0415

    schema = schema_of(section(FileConfig), "")
    listeners = {"anyOf": [{"required": ["Gnetway"]}, {"required": ["Server"]}]}
    keys = {"anyOf": [{"required": ["RSAKey"]}, {"required": ["KeyFile"]}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gnetway.yaml",
        "description": "The configuration of gnetway; docs/configuration.md explains every key.",
        **schema,
        "allOf": [listeners, keys],
    }


# What is derived.


def derived(config: "GatewayConfig") -> "GatewayConfig":
    """Return the configuration with what a start on this machine would put in place of 0.

    With several workers each has its part, but of MemoryBudget, which is that of all.
    """
    from gnetway.backends.embedded.help_config import DEFAULT_DC  # noqa: PLC0415
    from gnetway.config.limits import MIB  # noqa: PLC0415
    from gnetway.config.model import budget_bytes, share_out  # noqa: PLC0415
    from gnetway.runtime.machine import left_for_clients, machine_memory  # noqa: PLC0415
    from gnetway.service.link_services import connection_bounds, limits_by_network  # noqa: PLC0415
    from gnetway.workers.pipe import processors  # noqa: PLC0415

    count = config.worker_count(processors())
    memory = machine_memory()
    shared_out = share_out(config, memory, count)
    gnetway = shared_out.gnetway
    share = gnetway.admission.share(count)
    # To which a gateway raises its own limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    bounds = connection_bounds(share, left_for_clients(hard))
    usual = limits_by_network(
        replace(share, networks=None, allow=None, deny=None), bounds.connections
    )("192.0.2.1")
    admission = replace(
        gnetway.admission,
        connections=bounds.connections,
        half_open=bounds.half_open,
        connections_per_address=usual.connections,
        half_open_per_address=usual.half_open,
    )
    limits = replace(gnetway.limits, memory_budget=budget_bytes(config, memory) // MIB)
    cache = gnetway.key_cache_bytes // MIB
    session, embedded = shared_out.session, shared_out.session.embedded
    if embedded is not None:
        this_dc = embedded.this_dc or gnetway.strict_dc or DEFAULT_DC
        session = replace(session, embedded=replace(embedded, this_dc=this_dc))
    return replace(
        shared_out,
        workers=count,
        session=session,
        gnetway=replace(gnetway, admission=admission, limits=limits, auth_key_cache_mib=cache),
    )


# The keys.


class _Told(NamedTuple):
    """A key of the model, and its path without indexes."""

    pattern: str
    item: "Field[Any]"
    entry: "Key"

    @property
    def reason(self) -> str:
        from gnetway.config.values import explained  # noqa: PLC0415

        return explained(*self)


class Settings:
    """Goes through a configuration, and beside it through what is derived from it."""

    def __init__(self, config: "GatewayConfig", derived_config: "GatewayConfig") -> None:
        self._config = config
        self._derived = derived_config

    def all(self) -> Iterator[Setting]:
        """Yield every key with its value, in the order of the model."""
        from gnetway.config.load import FileConfig  # noqa: PLC0415
        from gnetway.config.values import keys_of  # noqa: PLC0415

        for item, entry in keys_of(FileConfig):
            if item.name == "rsa_keys":
                yield from self._rsa_keys(bool(entry.live))
            # Of the older forms the newer ones tell.
            elif hasattr(self._config, item.name):
                values = getattr(self._config, item.name), getattr(self._derived, item.name)
                told = _Told(entry.name, item, entry)
                yield from self._value(entry.name, told, *values, bool(entry.live))

    def _value(
        self, path: str, told: "_Told", value: Any, effective: Any, live: bool, line: int = 0
    ) -> Iterator[Setting]:
        from gnetway.config.values import as_json, is_section  # noqa: PLC0415

        entry = told.entry
        if is_section(value):
            yield from self._section(path, told.pattern, value, effective, live)
        elif isinstance(value, tuple) and any(map(is_section, value)):
            for index, (one, other) in enumerate(zip(value, effective, strict=True)):
                below = getattr(one, "path", "") or f"{path}[{index}]"
                yield from self._section(below, told.pattern, one, other, live)
        else:
            line = self._config.lines.get(path, line)
            source = "file" if line else "default"
            if not value and value != effective:
                value, source = effective, "derived"
            shown = f"{value:04o}" if entry.name == "UnixMode" else as_json(value, _of_other)
            unit = entry.unit if isinstance(value, int) else ""
            has_effect = path not in self._config.unused
            yield Setting(path, shown, unit, source, line, told.reason, live, has_effect)

    def _section(
        self, path: str, pattern: str, section: Any, effective: Any, live: bool
    ) -> Iterator[Setting]:
        from gnetway.config.values import keys_of  # noqa: PLC0415

        for item, entry in keys_of(type(section)):
            value, other = getattr(section, item.name), getattr(effective, item.name)
            if not item.repr:
                value = other = _HIDDEN if value else ""
            elif item.name == "proto":
                # Several items of the file may have one address.
                value = other = ", ".join(section.protos)
            # Of an address that is one text the parts have no lines of their own.
            whole = self._config.lines.get(getattr(section, "path", ""), 0)
            line = 0 if value == item.default else whole
            is_live = live if entry.live is None else entry.live
            told = _Told(f"{pattern}.{entry.name}", item, entry)
            yield from self._value(f"{path}.{entry.name}", told, value, other, is_live, line)

    def _rsa_keys(self, live: bool) -> Iterator[Setting]:
        lines = self._config.lines
        paths = [path for path in lines if path.endswith("KeyFile") and path.startswith("RSAKey[")]
        paths += ["KeyFile"] if "KeyFile" in lines else []
        keys = self._config.rsa_keys
        if len(paths) != len(keys):
            # One of them stands there twice: which line is whose was not kept.
            paths = [f"RSAKey[{index}].KeyFile" for index in range(len(keys))]
            lines = {}
        for path, key in zip(paths, keys, strict=True):
            line = lines.get(path, 0)
            yield Setting(path, key.path, "", "file", line, "", live)
            number = key.key.fingerprint % (1 << 64)
            path = path.replace("KeyFile", "KeyFingerprint")
            value = f"{number} ({key.key.fingerprint_hex})"
            reason = "computed from the key"
            yield Setting(path, value, "", "derived", lines.get(path, 0), reason, live)


def _of_other(value: object) -> object:
    from gnetway.config.files import PemFile  # noqa: PLC0415

    return value.path if isinstance(value, PemFile) else str(value)
