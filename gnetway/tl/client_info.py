"""What a client says of itself: the fields of initConnection, and the layer around it.

It is said in the first call after a start of the application, as a rule, and nobody has proved it.

Source: core.telegram.org/method/initConnection
"""

from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.tl.primitives import Constructor, Reader, pack_uint32
from gnetway.tl.unwrap import first_bytes

#: Characters that are kept of a field.
MAX_FIELD_CHARS: Final = 48

#: Bytes of an object that are looked at, unpacked where it is compressed: six short strings.
_LOOK_BYTES: Final = 1024

#: The same of a container, or of an object that may be one.
_LOOK_CONTAINER_BYTES: Final = 16 * 1024

#: Messages of a container that are looked at; acknowledgements and pings stand beside the call.
_LOOK_MESSAGES: Final = 8

#: Wrappers around initConnection that are looked through.
_LOOK_WRAPPERS: Final = 4

#: By lang_pack, which names the application; others leave it empty.
_APPLICATIONS: Final = {
    "android": "Android",
    "android_x": "Android X",
    "ios": "iOS",
    "macos": "macOS",
    "tdesktop": "Desktop",
    "webk": "Web K",
    "weba": "Web A",
}

_MAY_HAVE_IT: Final = frozenset(
    pack_uint32(kind)
    for kind in (
        Constructor.MSG_CONTAINER,
        Constructor.GZIP_PACKED,
        Constructor.INVOKE_WITH_LAYER,
        Constructor.INIT_CONNECTION,
        Constructor.INVOKE_WITHOUT_UPDATES,
        Constructor.INVOKE_AFTER_MSG,
    )
)

_CONTAINER: Final = pack_uint32(Constructor.MSG_CONTAINER)

#: Where the body begins in what follows salt and session_id: msg_id, seq_no, length.
_BODY_AT: Final = 16

_MESSAGE_HEAD_BYTES: Final = 16


class ClientInfo(NamedTuple):
    """Texts of at most 48 printable characters; ``application`` is empty where none is named."""

    application: str
    app_version: str
    device: str
    system: str
    layer: int
    language: str

    @property
    def text(self) -> str:
        """In one line, as ``Android 11.2, Pixel 7, SDK 34, layer 198, en``."""
        app = " ".join(filter(None, (self.application, self.app_version)))
        layer = f"layer {self.layer}" if self.layer else ""
        return ", ".join(filter(None, (app, self.device, self.system, layer, self.language)))


def may_have_client_info(payload: bytes) -> bool:
    """Return whether it is worth to call ``client_info``: a look at four bytes.

    ``payload`` is msg_id, seq_no, length, body, padding.
    """
    return payload[_BODY_AT : _BODY_AT + 4] in _MAY_HAVE_IT


def client_info(payload: bytes) -> ClientInfo | None:
    """Return what a message says of its client, None for nothing; see ``may_have_client_info``.

    It costs some 20 us at most, whatever the message is, and never raises.
    """
    length = int.from_bytes(payload[_BODY_AT - 4 : _BODY_AT], "little")
    body = payload[_BODY_AT : _BODY_AT + min(length, _LOOK_CONTAINER_BYTES)]
    try:
        body = first_bytes(body, _LOOK_CONTAINER_BYTES)
        if body[:4] != _CONTAINER:
            return _in_call(body)
        return _in_container(body)
    except (TLError, UnicodeDecodeError):
        return None


def _in_container(body: bytes) -> ClientInfo | None:
    count = int.from_bytes(body[4:8], "little")
    at = 8
    for _ in range(min(count, _LOOK_MESSAGES)):
        start = at + _MESSAGE_HEAD_BYTES
        length = int.from_bytes(body[start - 4 : start], "little")
        found = _in_call(first_bytes(body[start : start + length], _LOOK_BYTES))
        if found is not None:
            return found
        at = start + length
        if at >= len(body):
            break
    return None


def _in_call(head: bytes) -> ClientInfo | None:
    reader = Reader(head)
    layer = 0
    for _ in range(_LOOK_WRAPPERS):
        kind = reader.uint32()
        if kind == Constructor.INIT_CONNECTION:
            return _read(reader, layer)
        if kind == Constructor.INVOKE_WITH_LAYER:
            layer = reader.int32()
        elif kind == Constructor.INVOKE_AFTER_MSG:
            reader.int64()
        elif kind != Constructor.INVOKE_WITHOUT_UPDATES:
            return None
    return None


def _read(reader: Reader, layer: int) -> ClientInfo:
    reader.uint32()  # flags
    reader.int32()  # api_id
    return info_of([reader.string() for _ in range(6)], layer)


def info_of(texts: list[bytes], layer: int) -> ClientInfo:
    """Return what the six texts of initConnection say."""
    device, system, version, system_language, pack, language = [_shown(text) for text in texts]
    return ClientInfo(
        _APPLICATIONS.get(pack, ""), version, device, system, layer, language or system_language
    )


def _shown(text: bytes) -> str:
    shown = text[: 4 * MAX_FIELD_CHARS].decode("utf-8", "replace")[:MAX_FIELD_CHARS]
    if shown.isprintable():
        return shown
    return "".join([one if one.isprintable() else "?" for one in shown])
