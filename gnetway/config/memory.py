"""MemoryBudget: what clients can make the gateway hold, shared out to the parts that hold it.

    MaxUnfinishedBytes   1/4    packets of which only a part is here, at least two of the largest
    MaxUnsentBytes       1/4    what waits for slow readers, at least what one may have
    Session.Hold         1/16   what waits while no session node answers
    Rpc.MaxInputBytes    1/8    messages of session services of which only a part is here, at least
                                two packets
    AuthKeyCacheM               as it is set
    MaxExchanges                so many of 4 KiB

The rest is for the connections themselves, and for what is only held while it is worked on. A key
that is set counts as it is; what is 0 is shared out. Each worker has an equal part.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from gnetway.config.limits import MIB
from gnetway.config.model import GatewayConfig

#: Without a number in the file: such a part of the machine's memory, or of the bound of the
#: control group, within these bounds in bytes. The rest is for others, and for a worst case that
#: is not the last one.
_PART_OF_MACHINE: Final = 4
_LEAST_BYTES: Final = 160 * MIB
_MOST_BYTES: Final = 1024 * MIB

#: What an unfinished key exchange takes, in bytes.
_EXCHANGE_BYTES: Final = 4096

_UNFINISHED_PART: Final = 4
_UNSENT_PART: Final = 4
_HOLD_PART: Final = 16
_RPC_PART: Final = 8


class MemoryTerm(NamedTuple):
    """What one key lets clients hold, in bytes."""

    path: str
    size: int


def budget_bytes(config: GatewayConfig, machine_bytes: int) -> int:
    """Return the budget of all workers together, on a machine with so much memory."""
    if config.gnetway.limits.memory_budget:
        return config.gnetway.limits.memory_budget * MIB
    return min(max(machine_bytes // _PART_OF_MACHINE, _LEAST_BYTES), _MOST_BYTES)


def share_out(config: GatewayConfig, machine_bytes: int, workers: int = 1) -> GatewayConfig:
    """Return the configuration of one of so many workers, with every part as a number."""
    whole = budget_bytes(config, machine_bytes) // workers
    limits, session = config.gnetway.limits, config.session
    limits = replace(
        limits,
        memory_budget=max(1, whole // MIB),
        max_unfinished_bytes=limits.max_unfinished_bytes
        or max(whole // _UNFINISHED_PART, 2 * limits.max_packet_bytes),
        max_unsent_bytes=limits.max_unsent_bytes
        or max(whole // _UNSENT_PART, limits.max_send_buffer_bytes),
    )
    hold = replace(session.hold, max_bytes=session.hold.max_bytes or max(whole // _HOLD_PART, MIB))
    rpc = replace(
        config.rpc,
        max_input_bytes=config.rpc.max_input_bytes
        or max(whole // _RPC_PART, 2 * limits.max_packet_bytes),
    )
    return replace(
        config,
        rpc=rpc,
        gnetway=replace(config.gnetway, limits=limits),
        session=replace(session, hold=hold),
    )


def memory_terms(shared_out: GatewayConfig) -> list[MemoryTerm]:
    """Return what each key of a worker's configuration lets clients hold."""
    gnetway = shared_out.gnetway
    terms = [
        MemoryTerm("MaxUnfinishedBytes", gnetway.limits.max_unfinished_bytes),
        MemoryTerm("MaxUnsentBytes", gnetway.limits.max_unsent_bytes),
        MemoryTerm("AuthKeyCacheM", gnetway.key_cache_bytes),
        MemoryTerm("MaxExchanges", gnetway.limits.max_exchanges * _EXCHANGE_BYTES),
    ]
    if shared_out.session.is_remote:
        terms.append(MemoryTerm("Session.Hold.MaxBytes", shared_out.session.hold.max_bytes))
        terms.append(MemoryTerm("Rpc.MaxInputBytes", shared_out.rpc.max_input_bytes))
    return terms


def least_budget_mib(config: GatewayConfig, workers: int) -> int:
    """Return the MiB that MemoryBudget must have for the parts that are set, 0 if it has them."""
    limits = config.gnetway.limits
    if not limits.memory_budget:
        return 0
    shared_out = share_out(config, 0, workers)
    needed = workers * sum(term.size for term in memory_terms(shared_out))
    return -(-needed // MIB) if needed > limits.memory_budget * MIB else 0
