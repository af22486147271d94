"""The version, alone so that packaging can read it without importing the gateway."""

from typing import Final

__version__: Final = "0.1.0"
