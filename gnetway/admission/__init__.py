"""What one client network may take, whatever carries its connections.

    accounts.py     the account of an address: what it has now, and how fast it may take more; and
                    bytes over all that hold some
    admission.py    who is let in, and which connection gives way where there is no room
    place.py        what one connection has of it, and what is known of the connection
    shares.py       which network stands for one client, and who has most of places that are not
                    enough for all

No I/O: times are passed in, in seconds of a clock that only goes on.
"""
