"""The table of carriers; each is imported only when it is chosen."""

from importlib import import_module
from typing import Final, Protocol, cast

from gnetway.errors import ConfigError
from gnetway.rpc.calls import IRpcCarrier, IRpcReactor
from gnetway.runtime.turn_end import TurnEnd

#: name in the configuration -> module, class
_CARRIERS: Final = {
    "native": ("gnetway.rpc.native.carrier", "NativeCarrier"),
    "grpcio": ("gnetway.rpc.grpcio.carrier", "GrpcioCarrier"),
}


class _MakesCarrier(Protocol):
    def __call__(self, reactor: IRpcReactor, turn_end: TurnEnd) -> IRpcCarrier: ...


def carrier(name: str, reactor: IRpcReactor, turn_end: TurnEnd) -> IRpcCarrier:
    """Return the carrier of that name; what it puts off is run by ``turn_end``.

    :raises ConfigError: there is none, or what it needs is not installed.
    """
    if name not in _CARRIERS:
        known = ", ".join(sorted(_CARRIERS))
        raise ConfigError([f"Rpc.Carrier: {name!r} is none of: {known}"])
    module, class_name = _CARRIERS[name]
    try:
        make = cast("_MakesCarrier", getattr(import_module(module), class_name))
    except ImportError as error:
        raise ConfigError([f"Rpc.Carrier: {name} needs the package {error.name}"]) from error
    return make(reactor, turn_end)
