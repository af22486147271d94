"""The time of day of one process, set forward and back by a test."""

import mmap
import struct
import subprocess
from pathlib import Path

from tests.needs import last_line, missing, need_program

_SOURCE = Path(__file__).with_name("stepped_clock.c")


class SteppedClock:
    """A library that is compiled into ``folder``, and what it adds to the time of day.

    ``environment`` is for the process, and goes on to those that it starts.
    """

    def __init__(self, folder: Path) -> None:
        compiler = need_program("cc", "gcc")
        library, shown = folder / "stepped_clock.so", folder / "stepped_clock"
        done = subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            missing(f"{_SOURCE.name} cannot be compiled here: {last_line(done.stderr)}")
        shown.write_bytes(bytes(8))
        with shown.open("r+b") as file:
            self._shown = mmap.mmap(file.fileno(), 8)
        self._nanoseconds = 0
        self.environment = {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(shown)}

    def step(self, seconds: float) -> None:
        """Set it forward, or back."""
        self._nanoseconds += round(seconds * 1e9)
        self._shown[:] = struct.pack("=q", self._nanoseconds)

    def close(self) -> None:
        self._shown.close()
