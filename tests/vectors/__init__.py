"""Known answers from other implementations; README.md says where each comes from."""

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def load(name: str) -> Any:
    """Return the content of one file, e.g. ``load("mtproto")["aes256_ige"]``."""
    return json.loads((_HERE / f"{name}.json").read_text(encoding="ascii"))
