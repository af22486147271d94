"""The part of Teamgram's vocabulary that gnetway does not use: refused by name, or without effect.

Both tables shrink: a key that gains a meaning becomes a field of the model and leaves here. The
names are those of teamgram-server's gnetway and of the go-zero framework below it. A pattern is
a key path without indexes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key that asks for something this version cannot do.

    ``asks`` gets the plain value (keys in lower case) and tells whether it asks at all: `false`
    and an empty section do not. A ``secret`` value is not shown.
    """

    asks: Callable[[object], bool]
    allowed: str = "leave it out"
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A key whose value is checked for its kind and then has no effect."""

    kinds: tuple[type, ...]
    allowed: str

    def fits(self, value: object) -> bool:
        """Tell whether a plain value is of the kind that Teamgram takes."""
        # bool is an int to Python, but not to go-zero.
        return isinstance(value, self.kinds) and (bool in self.kinds or not isinstance(value, bool))


def _given(value: object) -> bool:
    return value not in (None, "", [], {})


def _on(value: object) -> bool:
    return value is not None and value is not False


def _more_than(*harmless: str) -> Callable[[object], bool]:
    """Return a test for sections that do nothing while only ``harmless`` keys are set."""

    def asks(value: object) -> bool:
        if not isinstance(value, dict):
            return value is not None
        return any(
            _given(item) and _on(item) for name, item in value.items() if name not in harmless
        )

    return asks


def _dev_server(value: object) -> bool:
    # go-zero starts it unless told otherwise.
    return value is not None and not (isinstance(value, dict) and value.get("enabled") is False)


#: What is refused by its name.
NOT_YET: Final[dict[str, NotYet]] = {
    "Auth": NotYet(_on, "false, or leave it out"),
    "Redis": NotYet(_given),
    "MetricsUrl": NotYet(_given),
    "DevServer": NotYet(_dev_server, "'Enabled: false', or leave it out"),
    "Profiling": NotYet(_more_than("cpuprofilinginterval", "profileinterval", "loginterval")),
    "Etcd.ID": NotYet(_given),
    "Etcd.InsecureSkipVerify": NotYet(_on, "false, or leave it out"),
    "Session.Etcd.ID": NotYet(_given),
    "Session.Etcd.InsecureSkipVerify": NotYet(_on, "false, or leave it out"),
    "Session.Target": NotYet(_given, "Session.Endpoints in its place"),
    "Session.App": NotYet(_given),
    "Session.Token": NotYet(_given, secret=True),
}

_TEXT: Final = Ignored((str,), "a text")
_WHOLE: Final = Ignored((int,), "a whole number")
_FLAG: Final = Ignored((bool,), "true or false")
_DURATION: Final = Ignored((int, str), "a whole number or a text such as 20s")
_SECTION: Final = Ignored((dict,), "a mapping of keys")
_LIST: Final = Ignored((list,), "a list")

#: What only tunes or watches the Go gateway: read, named once at start, without effect.
IGNORED: Final[dict[str, Ignored]] = {
    "Mode": _TEXT,
    "Prometheus": _SECTION,
    "Telemetry": _SECTION,
    "Timeout": _WHOLE,
    "CpuThreshold": _WHOLE,
    "MaxProc": _WHOLE,
    "Health": _FLAG,
    "StrictControl": _FLAG,
    "Middlewares": _SECTION,
    "MethodTimeouts": _LIST,
    "Shutdown": _SECTION,
    "Log.ServiceName": _TEXT,
    "Log.Mode": _TEXT,
    "Log.Encoding": _TEXT,
    "Log.TimeFormat": _TEXT,
    "Log.Path": _TEXT,
    "Log.Level": _TEXT,
    "Log.MaxContentLength": _WHOLE,
    "Log.Compress": _FLAG,
    "Log.Stat": _FLAG,
    "Log.KeepDays": _WHOLE,
    "Log.StackCooldownMillis": _WHOLE,
    "Log.MaxBackups": _WHOLE,
    "Log.MaxSize": _WHOLE,
    "Log.Rotation": _TEXT,
    "Log.FileTimeFormat": _TEXT,
    "Log.FieldKeys": _SECTION,
    "Server.SendBuf": _WHOLE,
    "Server.ReceiveBuf": _WHOLE,
    "Server.SendChanSize": _WHOLE,
    "Server.ServerName": _TEXT,
    "Server.ProtoName": _TEXT,
    "Server.Keepalive": _FLAG,
    "Gnetway.SendBuf": _WHOLE,
    "Gnetway.ReceiveBuf": _WHOLE,
    "Session.NonBlock": _FLAG,
    "Session.KeepaliveTime": _DURATION,
    "Session.Middlewares": _SECTION,
    "Session.BalancerName": _TEXT,
}


#: Sections of go-zero's own, which passes over keys that it does not know; so do they, and are
#: listed as without effect. A key that looks like one with an effect is a fault all the same.
GO_ZERO: Final = frozenset({"Log", "Etcd", "Session", "Session.Etcd"})


def names_in(pattern: str) -> list[str]:
    """Return the keys that the two tables have in the section ``pattern`` ("" is the file)."""
    prefix = f"{pattern}." if pattern else ""
    inner = (name[len(prefix) :] for name in (*NOT_YET, *IGNORED) if name.startswith(prefix))
    return list(dict.fromkeys(name.partition(".")[0] for name in inner))
