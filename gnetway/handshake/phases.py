"""The phases of one key exchange, and which step leads from one to the next.

    client                                   server
    req_pq / req_pq_multi(nonce)        →
                                        ←    resPQ(server_nonce, pq, fingerprints)
    req_DH_params(p, q, RSA(new_nonce)) →    a thread opens the RSA block
                                        ←    server_DH_params_ok(g, dh_prime, g_a)
    set_client_DH_params(g_b)           →    a thread makes the key; the backend stores it
                                        ←    dh_gen_ok, or dh_gen_retry: another g_b, please

One run belongs to one nonce and one server_nonce. A pair that :data:`NEXT` does not list is a
wrong step; it ends the run, and so does every failed check: from then on the run is DEAD and all
its queries are refused. Only an exact repeat of the last query is no step at all: it gets the
same answer again, or silence while the answer is in the making.

Source: core.telegram.org/mtproto/auth_key
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from gnetway.crypto.auth_key import AuthKey
from gnetway.handshake.checks import WrongStep


class Phase(Enum):
    """What a run waits for."""

    WANT_REQ_PQ = "req_pq"
    WANT_REQ_DH_PARAMS = "req_DH_params"
    OPENING = "RSA work"
    WANT_CLIENT_DH = "set_client_DH_params"
    MAKING_KEY = "key work"
    STORING = "store"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"


class Step(Enum):
    """What happened: a client's query, or the end of something that was under way."""

    REQ_PQ = "req_pq"
    REQ_DH_PARAMS = "req_DH_params"
    SET_CLIENT_DH = "set_client_DH_params"
    INNER_DATA_OPENED = "inner data opened"
    KEY_MADE = "key made"
    KEY_STORED = "key stored"
    KEY_REFUSED = "key refused"
    KEYS_GIVEN_UP = "keys given up"


#: phase → step → next phase.
NEXT: Final[dict[Phase, dict[Step, Phase]]] = {
    Phase.WANT_REQ_PQ: {Step.REQ_PQ: Phase.WANT_REQ_DH_PARAMS},  # resPQ
    Phase.WANT_REQ_DH_PARAMS: {Step.REQ_DH_PARAMS: Phase.OPENING},
    Phase.OPENING: {Step.INNER_DATA_OPENED: Phase.WANT_CLIENT_DH},  # server_DH_params_ok
    Phase.WANT_CLIENT_DH: {Step.SET_CLIENT_DH: Phase.MAKING_KEY},
    Phase.MAKING_KEY: {
        Step.KEY_MADE: Phase.STORING,
        Step.KEY_REFUSED: Phase.WANT_CLIENT_DH,  # its id is 0: dh_gen_retry
        Step.KEYS_GIVEN_UP: Phase.FAILED,  # dh_gen_fail
    },
    Phase.STORING: {
        Step.KEY_STORED: Phase.DONE,  # dh_gen_ok
        Step.KEY_REFUSED: Phase.WANT_CLIENT_DH,  # its id is taken, or the store failed
        Step.KEYS_GIVEN_UP: Phase.FAILED,
    },
    Phase.DONE: {},
    Phase.FAILED: {},
    Phase.DEAD: {},
}

#: The phases that nothing but repeats can follow.
OVER: Final = frozenset({Phase.DONE, Phase.FAILED, Phase.DEAD})


def next_phase(phase: Phase, step: Step) -> Phase:
    """Return where ``step`` leads from ``phase``.

    :raises WrongStep: nowhere.
    """
    follower = NEXT[phase].get(step)
    if follower is None:
        raise WrongStep(f"{step.value} in phase {phase.name}")
    return follower


# What a `gnetway.handshake.exchange.KeyExchange` can say.


class Reply(NamedTuple):
    """Send this TL object to the client, unencrypted."""

    body: bytes

    def __repr__(self) -> str:
        return f"<Reply of {len(self.body)} bytes>"


class WorkWanted(NamedTuple):
    """Call ``work``, best in a thread: about 1 ms, and it touches nothing but its own data."""

    work: Callable[[], object]

    def __repr__(self) -> str:
        return "<WorkWanted>"


class StoreWanted(NamedTuple):
    """Store this key; the client hears of it only then.

    ``salt`` (signed) is valid from ``valid_since`` to ``valid_until``, Unix seconds.
    ``expires_in`` is the key's life in seconds, 0 for a permanent one. ``dc_id`` is the data centre
    that the obfuscated header names, 0 for none.
    """

    key: AuthKey
    salt: int
    valid_since: int
    valid_until: int
    expires_in: int
    dc_id: int = 0

    def __repr__(self) -> str:
        return f"<StoreWanted {self.key!r}>"


ExchangeEvent = Reply | WorkWanted | StoreWanted
