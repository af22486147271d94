"""What one client network may take, whatever carries its connections.

    accounts.py      the account of an address: what it has now, and how fast it may take more
    token_bucket.py  a rate with a burst
    byte_budget.py   bytes over all that hold some; who holds most gives way
    shares.py        places that are not enough for all; who has most gives way
    fair_queue.py    work that waits; networks take turns

No I/O: times are passed in, in seconds of a clock that only goes on.
"""
