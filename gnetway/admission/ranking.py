"""Which account has most of something, known at once however many there are."""

from gnetway.admission.accounts import Account


class Ranking:
    """Accounts by a count that goes up and down by one.

    Accounts that have one or none are not kept: they are never asked to give way.
    """

    __slots__ = ("_by_count", "_most")

    def __init__(self) -> None:
        self._by_count: dict[int, dict[Account, None]] = {}
        self._most = 0

    def changed(self, account: Account, before: int, after: int) -> None:
        """Note that the count of an account has gone from ``before`` to ``after``."""
        by_count = self._by_count
        if before > 1:
            same = by_count[before]
            del same[account]
            if not same:
                del by_count[before]
        if after > 1:
            same = by_count.get(after, _NOBODY)
            if same is _NOBODY:
                same = by_count[after] = {}
            same[account] = None
        if after > self._most:
            self._most = after
        elif before == self._most and before not in by_count:
            # It went down by one, so that there is somebody right below.
            self._most = after

    def heaviest(self) -> Account | None:
        """Return an account with most of all, None where nobody has two."""
        return next(iter(self._by_count.get(self._most, _NOBODY)), None)


_NOBODY: dict[Account, None] = {}
