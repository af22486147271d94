"""RPC handlers: the stock one, and finding the one that the configuration names."""

from collections.abc import Callable
from importlib import import_module
from inspect import getattr_static, signature
from types import FunctionType
from typing import Final, cast

from zope.interface import implementer

from gnetway.backends.embedded.not_served import not_served
from gnetway.backends.embedded.server_config import ServerConfig
from gnetway.errors import ConfigError, RpcError
from gnetway.interfaces import IRpcHandler, IRpcSessions, RpcAnswer, RpcCall
from gnetway.runtime.wall_clock import WallClock
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_uint32

_TRUE: Final = pack_uint32(Constructor.BOOL_TRUE)


@implementer(IRpcHandler)
class StockHandler:
    """Answers what clients ask of any server; the rest goes to ``other``, if there is one.

    Those are help.getConfig, help.getNearestDc and auth.dropTempAuthKeys.
    """

    def __init__(
        self, wall: WallClock, config: ServerConfig, other: IRpcHandler | None = None
    ) -> None:
        self._wall = wall
        self._config = config
        self._other = other

    def handle(self, call: RpcCall) -> RpcAnswer:
        """Return the answer.

        :raises RpcError: 400 CONNECTION_NOT_INITED for a config of an unknown layer; without
            another handler what ``not_served`` raises, else what that one does.
        """
        if call.constructor == Constructor.HELP_GET_CONFIG:
            if not call.layer:
                raise RpcError(400, "CONNECTION_NOT_INITED")
            now = self._wall()
            return self._config.config(now, call.layer, call.client_ip, call.local_ip)
        if call.constructor == Constructor.HELP_GET_NEAREST_DC:
            return self._config.nearest_dc
        if call.constructor == Constructor.AUTH_DROP_TEMP_AUTH_KEYS:
            # They end by themselves. TDLib asks at its start, and logs out where it is refused.
            return _TRUE
        if self._other is None:
            raise not_served(call.constructor)
        return self._other.handle(call)


#: Makes a handler that may use the given sessions.
HandlerFactory = Callable[[IRpcSessions], IRpcHandler]


def load_handler(path: str) -> HandlerFactory:
    """Return the class at ``path``, e.g. ``package.module.Class``.

    :raises ConfigError: there is no such class, its module fails, it is no IRpcHandler, or its
        ``handle`` takes no call.
    """
    module_name, _, class_name = path.rpartition(".")
    if not module_name or not class_name:
        raise _fault(path, "is no dotted path of the form package.module.Class")
    found = getattr(_load_module(path, module_name), class_name, None)
    if found is None:
        raise _fault(path, f"module {module_name} has no {class_name}")
    if not isinstance(found, type):
        raise _fault(path, "is no class")
    if not IRpcHandler.implementedBy(found):
        raise _fault(path, "does not implement gnetway.interfaces.IRpcHandler")
    handle = getattr_static(found, "handle", None)
    if isinstance(handle, FunctionType):
        _check_signature(path, handle, "self", "call")
    return cast(HandlerFactory, found)


def check_handler(handler: object) -> IRpcHandler:
    """Return a handler that was just made.

    :raises ConfigError: it does not provide IRpcHandler, or its ``handle`` takes no call.
    """
    name = f"{type(handler).__module__}.{type(handler).__qualname__}"
    if not IRpcHandler.providedBy(handler):
        raise _fault(name, "does not provide gnetway.interfaces.IRpcHandler")
    handle = getattr(handler, "handle", None)
    if not callable(handle):
        raise _fault(name, "has no method handle")
    _check_signature(name, handle, "call")
    return handler


def _check_signature(path: str, handle: Callable[..., object], *arguments: str) -> None:
    try:
        takes = signature(handle)
    except (TypeError, ValueError):
        return  # compiled, and does not say what it takes
    try:
        takes.bind(*arguments)
    except TypeError as error:
        found = f"handle{takes} cannot be called with one argument, the call: {error}"
        raise _fault(path, found) from error


def _load_module(path: str, module_name: str) -> object:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        raise _fault(path, f"no module named {error.name}") from error
    except (Exception, SystemExit) as error:
        # Anything may go wrong in someone else's module; it is told, not shown as a traceback.
        raise _fault(
            path, f"importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error


def _fault(path: str, found: str) -> ConfigError:
    return ConfigError([f"{path}: {found}"])
