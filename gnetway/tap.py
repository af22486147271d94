"""``twistd gnetway``: the command line, and where the gateway gets its reactor."""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from typing import ClassVar, Final, NoReturn, cast

from twisted.application.service import IService
from twisted.python import usage

from gnetway._version import __version__
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.runtime.systemd import Notifier, first_environment, passed_descriptors
from gnetway.service.announce import status_line
from gnetway.service.gateway import GatewayService
from gnetway.service.logs import ProcessLog
from gnetway.service.sockets import InheritedSockets
from gnetway.service.take_over import TakeOver
from gnetway.workers.pipe import processors
from gnetway.workers.service import WorkersService

#: Seconds that a stop may take beside those for the clients to leave: for etcd, for the session
#: nodes, and for workers.
STOP_SECONDS: Final = 15.0


class Options(usage.Options):
    """The options behind ``twistd [its own options] gnetway``."""

    synopsis = "[options]"
    longdesc = "An MTProto network gateway; its configuration says what it listens on."
    optParameters: ClassVar = [
        ["config", "c", "etc/gnetway.yaml", "The configuration file (YAML)."],
    ]

    def opt_version(self) -> NoReturn:
        """Print the version of gnetway and leave."""
        sys.stdout.write(f"gnetway {__version__}\n")
        raise SystemExit(0)


def makeService(options: usage.Options) -> IService:
    """Build the gateway from its configuration file.

    Faults of the configuration, ports that are taken included, are printed line by line and end
    the process with status 1, before twistd has become a daemon. A start that fails later ends it
    with that status too.
    """
    from twisted.internet import reactor as installed  # noqa: PLC0415, TID251

    reactor = cast(IGatewayReactor, installed)
    pid = os.getpid()
    passed = passed_descriptors(os.environ, pid) or passed_descriptors(first_environment(), pid)
    inherited = InheritedSockets(passed)
    try:
        config = load_file(options["config"])
        log = None if config.log is None else ProcessLog(config, options.parent or {})
        take_over = TakeOver(config, reactor)
        take_over.ask(inherited)
        gateway = _make_gateway(config, reactor, inherited)
        # Before the gateway, which says what nobody has taken of what is inherited.
        take_over.bind(inherited)
        try:
            gateway.prepare()
        except ConfigError:
            take_over.stop()
            raise
    except ConfigError as error:
        for fault in error.faults:
            sys.stderr.write(f"gnetway: {fault}\n")
        raise SystemExit(1) from None
    notifier = _notify(reactor, gateway, take_over, config.gnetway.drain.hard_stop_seconds)

    def reload() -> None:
        notifier.reloading()
        if log is not None:
            log.reopen()
        gateway.reload().addCallback(lambda _: notifier.ready())

    # Twisted leaves both alone, so they would end the process. A handler may interrupt the
    # reactor anywhere.
    _on(signal.SIGHUP, lambda: reactor.callFromThread(reload))
    _on(signal.SIGUSR2, lambda: reactor.callFromThread(gateway.log_counts))
    # Twisted takes the first one; while it is heeded, a second one is for those who cannot wait.
    reactor.addSystemEventTrigger("before", "shutdown", _on_next, reactor, gateway)
    atexit.register(_leave, gateway)
    if log is None:
        return gateway
    gateway.reloads.listeners.append(log.take)
    if isinstance(gateway, WorkersService):
        gateway.follow_levels(log.levels)
    _on(signal.SIGUSR1, lambda: reactor.callFromThread(log.reopen))
    return log.begin(gateway)


def _make_gateway(
    config: GatewayConfig, reactor: IGatewayReactor, inherited: InheritedSockets
) -> GatewayService | WorkersService:
    """Return a gateway in this process or, where the configuration asks for it, in several."""
    count = config.worker_count(processors())
    if count == 1:
        return GatewayService(config, reactor, own_process=True, inherited=inherited)
    return WorkersService(config, reactor, count, inherited=inherited)


def _notify(
    reactor: IGatewayReactor,
    gateway: GatewayService | WorkersService,
    take_over: TakeOver,
    drain_seconds: float,
) -> Notifier:
    """Have those know how the gateway is that wait for it.

    They are systemd, where it has started this process, and a gateway that ran here before.
    """
    # One process lives where its reactor runs.
    alive = gateway.alive if isinstance(gateway, WorkersService) else lambda: True
    notifier = Notifier(
        reactor,
        os.environ,
        os.getpid(),
        lambda: status_line(gateway.counts(), notifier.is_stopping),
        alive,
    )

    def served(_: None) -> None:
        if gateway.failure is None:
            take_over.begin(gateway.estate)
            notifier.ready()

    def start() -> None:
        notifier.start()
        gateway.when_ready().addCallback(served)

    def stop() -> None:
        take_over.stop()
        if take_over.is_over:
            # To systemd that one is the service now.
            notifier.stop()
        else:
            notifier.stopping(drain_seconds + STOP_SECONDS)

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", stop)
    reactor.addSystemEventTrigger("after", "shutdown", notifier.stop)
    return notifier


def _leave(gateway: GatewayService | WorkersService) -> None:
    """Have the process end with status 1 if the gateway could not start; twistd says 0."""
    if gateway.failure is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _on_next(reactor: IGatewayReactor, gateway: GatewayService | WorkersService) -> None:
    """Have the next signal to end be one to end at once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        _on(number, lambda: reactor.callFromThread(gateway.hurry))


def _on(number: signal.Signals, act: Callable[[], object]) -> None:
    """Call ``act`` at each signal of that number."""
    signal.signal(number, lambda *_: act())
