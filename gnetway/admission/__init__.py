"""What one client network may take, whatever carries its connections.

    accounts.py     the account of an address: what it has now, and how fast it may take more
    admission.py    who is let in, and which connection gives way where there is no room
    byte_budget.py  bytes over all that hold some; who holds most gives way
    shares.py       places that are not enough for all; who has most gives way
    networks.py     what of an address stands for one client, and what is configured for it

No I/O: times are passed in, in seconds of a clock that only goes on.
"""
