"""The process of the attacker: one attack, again and again until its time is over.

    python -m benchmarks.hostile.attacker KEY TARGET

When it begins and after each round it prints how many were played to their end and how many the
gateway cut short.
"""

import sys
import time
from typing import Final

from benchmarks.hostile.rows import ROWS
from benchmarks.hostile.target import TURNED_AWAY, Target

#: Between a refusal and the next attempt.
_PAUSE_SECONDS: Final = 0.05


def main() -> None:
    """Attack."""
    key, packed = sys.argv[1:]
    target = Target.unpack(packed)
    (row,) = (row for row in ROWS if row.key == key)
    played = turned_away = 0
    print(played, turned_away, flush=True)
    while not target.over:
        try:
            row.attack(target)
            played += 1
        except TURNED_AWAY:
            turned_away += 1
            time.sleep(_PAUSE_SECONDS)
        finally:
            target.let_go()
        print(played, turned_away, flush=True)


if __name__ == "__main__":
    main()
