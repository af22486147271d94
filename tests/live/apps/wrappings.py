"""In what applications and forgers send a bind."""

from collections.abc import Callable
from typing import Final

from gnetway.tl.service_messages import GetFutureSalts, Ping
from tests.live.apps.talk import NO_WAIT, Talk
from tests.live.apps.wire import gzipped, with_layer

#: Sends a bind as message ``msg_id``.
Wrapping = Callable[[Talk, bytes, int], object]


def alone(talk: Talk, bind: bytes, msg_id: int) -> None:
    talk.say(bind, msg_id)


def beside_a_ping(talk: Talk, bind: bytes, msg_id: int) -> None:
    talk.say_together(bind, Ping(1).pack(), msg_id=msg_id)


def beside_no_wait(talk: Talk, bind: bytes, msg_id: int) -> None:
    """As TDLib does over HTTP: the request is not to be held back for anything."""
    talk.say_together(bind, NO_WAIT.pack(), msg_id=msg_id)


def _in_gzip(talk: Talk, bind: bytes, msg_id: int) -> None:
    talk.say(gzipped(bind), msg_id)


def _with_layer(talk: Talk, bind: bytes, msg_id: int) -> None:
    talk.say(with_layer(bind), msg_id)


def _as_tdlib(talk: Talk, bind: bytes, msg_id: int) -> None:
    """A container of invokeWithLayer, initConnection, gzip_packed, the bind."""
    talk.say_together(with_layer(gzipped(bind)), GetFutureSalts(4).pack(), msg_id=msg_id)


WRAPPINGS: Final[dict[str, Wrapping]] = {
    "alone": alone,
    "beside a ping": beside_a_ping,
    "beside http_wait(0)": beside_no_wait,
    "in gzip_packed": _in_gzip,
    "with a layer": _with_layer,
    "as TDLib sends it": _as_tdlib,
}
