"""What of a configuration is each worker's own: where its gRPC service listens, and its share.

Of the memory, and of what a client's address may have (Gnetway.Admission), each worker has a part,
since the kernel spreads connections over them.

A push must reach the process that has the connection. So each worker serves session services at
an address of its own, by which they know it: ListenOn for worker 0, and for worker k the k-th port
above it. Port 0 gives each any free one. MemoryBudget is of
all workers together, and each has an equal part.
"""

import os
from dataclasses import replace

from gnetway.config.addresses import Address
from gnetway.config.memory import share_out
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.runtime.process_limits import machine_memory

_MAX_PORT = 65535


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def shares(config: GatewayConfig, count: int) -> list[GatewayConfig]:
    """Return the configuration of each worker.

    :raises ConfigError: there are not so many ports above that of ListenOn.
    """
    listen_on = config.listen_on
    assert listen_on is not None, "several workers have a remote session backend"
    if listen_on.port + count - 1 > _MAX_PORT:
        found = f"{listen_on} for {count} workers, which take a port each from there on"
        allowed = f"a port up to {_MAX_PORT - count + 1}, or 0"
        raise ConfigError([config.fault("ListenOn", found, allowed)])
    shared_out = share_out(config, machine_memory(), count)
    admission = config.gnetway.admission.share(count)
    shared = replace(shared_out, gnetway=replace(shared_out.gnetway, admission=admission))
    return [replace(shared, listen_on=_place(listen_on, number)) for number in range(count)]


def _place(listen_on: Address, number: int) -> Address:
    return replace(listen_on, port=listen_on.port + number) if listen_on.port else listen_on
