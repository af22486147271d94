"""docs/reload.md names what is taken at a reload, as the keys themselves say."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any
from unittest import TestCase

from gnetway.config.load import FileConfig
from gnetway.config.model import GnetwayConfig
from gnetway.config.operators import LogConfig
from gnetway.config.servers import ServerConfig
from gnetway.config.session import SessionConfig
from gnetway.config.values import keys_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reload.md"


def keys(cls: type[Any], live: bool | None = None) -> Iterator[tuple[str, bool | None]]:
    """Yield the names of keys that say what the section around them does not."""
    for item, key in keys_of(cls):
        if key.live is not None and key.live is not live:
            yield key.name, key.live
        factory: object = item.default_factory
        if isinstance(factory, type) and is_dataclass(factory):
            yield from keys(factory, key.live)


class LiveKeysTests(TestCase):
    def test_each_is_named(self) -> None:
        taken, _, restart = PAGE.read_text().partition("## What needs a restart")
        restart = restart.partition("\n## ")[0]
        found = [
            entry
            for cls in (FileConfig, GnetwayConfig, ServerConfig, SessionConfig, LogConfig)
            for entry in keys(cls)
        ]
        self.assertGreater(len(found), 10)
        for name, live in found:
            with self.subTest(name):
                self.assertRegex(taken if live else restart, rf"`(\w+\.)*{name}`")
