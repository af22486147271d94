"""Session.Embedded.Store: where the embedded backend keeps its keys and salts."""

import os
from typing import Final

from gnetway.config.document import Node
from gnetway.config.faults import shown
from gnetway.config.files import output_path
from gnetway.config.section import Reading
from gnetway.config.values import text

#: The store that ends with the process.
MEMORY: Final = "memory"


def store(node: Node, reading: Reading) -> str:
    """Read a store: ``memory``, or the path of an SQLite file, which comes out absolute."""
    name = text(node, reading)
    if name == MEMORY:
        return MEMORY
    path = output_path(name, reading.directory)
    problem = _problem(path)
    if problem:
        found = f"{shown(name)}, which means {path}: {problem}"
        reading.reject(node, found, "an SQLite file that can be written, or memory")
    return path


def _problem(path: str) -> str:
    """Return why no store can be at ``path``, or an empty text."""
    folder = os.path.dirname(path)
    if not path.isprintable() or os.path.isdir(path):
        return "no name for a file"
    if not os.path.isdir(folder):
        return "no such directory"
    # SQLite writes its journal beside the file, so the directory counts in any case.
    if not os.access(folder, os.W_OK | os.X_OK):
        return "the directory cannot be written"
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return "the file cannot be written"
    return ""
