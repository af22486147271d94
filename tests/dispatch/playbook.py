"""The dispatch core as a script: what it is told (``>>``), and what it wants done then (``<<``).

    assert (
        Playbook(Core(stream=False).with_nodes(A))
        >> say("1", "2")
        << "A: 1, first"
        >> answer("1")
        << "A: 2"
    )

A script has one session. It is played when it is asked whether it is true, and fails with all that
was told and wanted, and a mark at each line where the two part. As in mitmproxy,
test/mitmproxy/proxy/tutils.py.
"""

from collections.abc import Callable
from difflib import ndiff
from typing import Final, NamedTuple, Self

from gnetway.dispatch.request import (
    Finished,
    KeyGone,
    NodeNews,
    NodeOutput,
    Output,
    Reading,
    Request,
    Send,
    SessionLost,
)
from gnetway.dispatch.retry import TRUE_REPLY
from gnetway.rpc.status import Method, RpcStatus
from tests.dispatch.cases import STRANGER, A, B, C, Core, FakeClient, client_of, is_first

_NAMES: Final = {A: "A", B: "B", C: "C", STRANGER: "STRANGER"}

#: How requests other than a client's messages are called.
CREATE: Final = "createSession"
CLOSE: Final = "closeSession"


class Event(NamedTuple):
    """What the core is told."""

    text: str
    tell: Callable[["Playbook"], object]


class Playbook:
    """A script for one session of a core; ``client`` is whose."""

    def __init__(self, core: Core, client: FakeClient | None = None) -> None:
        self.core = core
        self.client = client or client_of()
        self.queue = core.open(self.client)
        self._script: list[Event | str] = []

    def __rshift__(self, event: Event) -> Self:
        self._script.append(event)
        return self

    def __lshift__(self, output: str) -> Self:
        self._script.append(output)
        return self

    def __bool__(self) -> bool:
        wanted = [
            f"<< {step}" if isinstance(step, str) else f">> {step.text}" for step in self._script
        ]
        played: list[str] = []
        for step in self._script:
            if isinstance(step, Event):
                played.append(f">> {step.text}")
                self.core.seen.clear()
                try:
                    step.tell(self)
                except LookupError as error:
                    # The two have parted before: the script knows of what the core never sent.
                    played.append(f"!! {error.args[0]}")
                    break
                played += [f"<< {described(output)}" for output in self.core.seen]
        if played != wanted:
            raise AssertionError("\n".join(["wanted (-), played (+):", *ndiff(wanted, played)]))
        return True

    def request(self, name: str) -> Request:
        """The request of that name that some node has and did not answer."""
        for sends in self.core.under_way.values():
            for send in sends:
                if name_of(send.request) == name:
                    return send.request
        raise LookupError(f"no node has {name}")


def name_of(request: Request) -> str:
    if request.method is Method.SEND_DATA:
        return request.payload.decode()
    return request.method.path.rpartition("_")[2]


def described(output: Output) -> str:
    """An output as it stands in a script."""
    if isinstance(output, Send):
        assert output.request.node is not None
        first = output.request.method is Method.SEND_DATA and is_first(output.data)
        node = _NAMES[output.request.node.address]
        return f"{node}: {name_of(output.request)}{', first' if first else ''}"
    if isinstance(output, Finished):
        ending = "done" if output.error is None else f"fails: {output.error}"
        return f"{name_of(output.request)} {ending}"
    if isinstance(output, Reading):
        return "reading paused" if output.paused else "reading on"
    if isinstance(output, SessionLost):
        return f"session lost: {output.cause}"
    if isinstance(output, NodeOutput):
        return f"{output.wish.value} {_NAMES[output.node.address]}"
    if isinstance(output, NodeNews):
        return f"{_NAMES[output.node.address]} {output.change.value}"
    assert isinstance(output, KeyGone)
    return "key gone"


# -- what it is told -----------------------------------------------------------------------------


def say(*payloads: str, asks: bool = False) -> Event:
    """The client sends messages; ``asks`` is whether it waits for what is decided of them."""
    return Event(
        f"say {' '.join(payloads)}",
        lambda play: play.core.say(play.queue, *map(str.encode, payloads), asks=asks),
    )


def close() -> Event:
    return Event("close", lambda play: play.core.close(play.queue))


def comes_back(client: FakeClient) -> Event:
    """The session is opened again, by a client of the same name."""

    def tell(play: Playbook) -> None:
        assert play.core.open(client) is play.queue, "a session that still ends goes on"

    return Event("comes back", tell)


def answer(name: str, reply: bytes = TRUE_REPLY) -> Event:
    return Event(f"answer {name}", lambda play: play.core.answer(play.request(name), reply))


def fail(name: str, status: RpcStatus, sent: bool = True) -> Event:
    return Event(f"fail {name}", lambda play: play.core.fail(play.request(name), status, sent))


def end_stream(address: str, status: RpcStatus) -> Event:
    name = _NAMES[address]
    return Event(f"end stream to {name}", lambda play: play.core.end_stream(address, status))


def listed(*addresses: str) -> Event:
    """Discovery has a new list."""
    names = " ".join(_NAMES[address] for address in addresses)
    return Event(f"listed {names}", lambda play: play.core.set_nodes(*addresses))


def connected(address: str) -> Event:
    return Event(f"connected {_NAMES[address]}", lambda play: play.core.connect(address))


def disconnected(address: str) -> Event:
    return Event(f"disconnected {_NAMES[address]}", lambda play: play.core.lose_connection(address))
