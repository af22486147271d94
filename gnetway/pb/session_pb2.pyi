from gnetway.pb import mtproto_pb2 as _mtproto_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Constructor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSTRUCTOR_UNKNOWN: _ClassVar[Constructor]
    SESSION_CLIENT_EVENT: _ClassVar[Constructor]
    SESSION_CLIENT_DATA: _ClassVar[Constructor]
    HTTP_SESSION_DATA: _ClassVar[Constructor]
    QUERY_AUTH_KEY: _ClassVar[Constructor]
    SET_AUTH_KEY: _ClassVar[Constructor]
    CREATE_SESSION: _ClassVar[Constructor]
    SEND_DATA_TO_SESSION: _ClassVar[Constructor]
    SEND_HTTP_DATA_TO_SESSION: _ClassVar[Constructor]
    CLOSE_SESSION: _ClassVar[Constructor]
CONSTRUCTOR_UNKNOWN: Constructor
SESSION_CLIENT_EVENT: Constructor
SESSION_CLIENT_DATA: Constructor
HTTP_SESSION_DATA: Constructor
QUERY_AUTH_KEY: Constructor
SET_AUTH_KEY: Constructor
CREATE_SESSION: Constructor
SEND_DATA_TO_SESSION: Constructor
SEND_HTTP_DATA_TO_SESSION: Constructor
CLOSE_SESSION: Constructor

class SessionClientEvent(_message.Message):
    __slots__ = ("predicate_name", "constructor", "server_id", "conn_type", "auth_key_id", "key_type", "perm_auth_key_id", "session_id", "client_ip")
    PREDICATE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    CONN_TYPE_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_TYPE_FIELD_NUMBER: _ClassVar[int]
    PERM_AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IP_FIELD_NUMBER: _ClassVar[int]
    predicate_name: str
    constructor: Constructor
    server_id: str
    conn_type: int
    auth_key_id: int
    key_type: int
    perm_auth_key_id: int
    session_id: int
    client_ip: str
    def __init__(self, predicate_name: _Optional[str] = ..., constructor: _Optional[_Union[Constructor, str]] = ..., server_id: _Optional[str] = ..., conn_type: _Optional[int] = ..., auth_key_id: _Optional[int] = ..., key_type: _Optional[int] = ..., perm_auth_key_id: _Optional[int] = ..., session_id: _Optional[int] = ..., client_ip: _Optional[str] = ...) -> None: ...

class SessionClientData(_message.Message):
    __slots__ = ("predicate_name", "constructor", "server_id", "conn_type", "auth_key_id", "key_type", "perm_auth_key_id", "session_id", "client_ip", "quick_ack", "salt", "payload")
    PREDICATE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    CONN_TYPE_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_TYPE_FIELD_NUMBER: _ClassVar[int]
    PERM_AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IP_FIELD_NUMBER: _ClassVar[int]
    QUICK_ACK_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    predicate_name: str
    constructor: Constructor
    server_id: str
    conn_type: int
    auth_key_id: int
    key_type: int
    perm_auth_key_id: int
    session_id: int
    client_ip: str
    quick_ack: int
    salt: int
    payload: bytes
    def __init__(self, predicate_name: _Optional[str] = ..., constructor: _Optional[_Union[Constructor, str]] = ..., server_id: _Optional[str] = ..., conn_type: _Optional[int] = ..., auth_key_id: _Optional[int] = ..., key_type: _Optional[int] = ..., perm_auth_key_id: _Optional[int] = ..., session_id: _Optional[int] = ..., client_ip: _Optional[str] = ..., quick_ack: _Optional[int] = ..., salt: _Optional[int] = ..., payload: _Optional[bytes] = ...) -> None: ...

class HttpSessionData(_message.Message):
    __slots__ = ("predicate_name", "constructor", "payload")
    PREDICATE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    predicate_name: str
    constructor: Constructor
    payload: bytes
    def __init__(self, predicate_name: _Optional[str] = ..., constructor: _Optional[_Union[Constructor, str]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class TL_session_queryAuthKey(_message.Message):
    __slots__ = ("constructor", "auth_key_id")
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    constructor: Constructor
    auth_key_id: int
    def __init__(self, constructor: _Optional[_Union[Constructor, str]] = ..., auth_key_id: _Optional[int] = ...) -> None: ...

class TL_session_setAuthKey(_message.Message):
    __slots__ = ("constructor", "auth_key", "future_salt", "expires_in")
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_FIELD_NUMBER: _ClassVar[int]
    FUTURE_SALT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    constructor: Constructor
    auth_key: _mtproto_pb2.AuthKeyInfo
    future_salt: _mtproto_pb2.FutureSalt
    expires_in: int
    def __init__(self, constructor: _Optional[_Union[Constructor, str]] = ..., auth_key: _Optional[_Union[_mtproto_pb2.AuthKeyInfo, _Mapping]] = ..., future_salt: _Optional[_Union[_mtproto_pb2.FutureSalt, _Mapping]] = ..., expires_in: _Optional[int] = ...) -> None: ...

class TL_session_createSession(_message.Message):
    __slots__ = ("constructor", "client")
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    constructor: Constructor
    client: SessionClientEvent
    def __init__(self, constructor: _Optional[_Union[Constructor, str]] = ..., client: _Optional[_Union[SessionClientEvent, _Mapping]] = ...) -> None: ...

class TL_session_sendDataToSession(_message.Message):
    __slots__ = ("constructor", "data")
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    constructor: Constructor
    data: SessionClientData
    def __init__(self, constructor: _Optional[_Union[Constructor, str]] = ..., data: _Optional[_Union[SessionClientData, _Mapping]] = ...) -> None: ...

class TL_session_sendHttpDataToSession(_message.Message):
    __slots__ = ("constructor", "client")
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    constructor: Constructor
    client: SessionClientData
    def __init__(self, constructor: _Optional[_Union[Constructor, str]] = ..., client: _Optional[_Union[SessionClientData, _Mapping]] = ...) -> None: ...

class TL_session_closeSession(_message.Message):
    __slots__ = ("constructor", "client")
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    constructor: Constructor
    client: SessionClientEvent
    def __init__(self, constructor: _Optional[_Union[Constructor, str]] = ..., client: _Optional[_Union[SessionClientEvent, _Mapping]] = ...) -> None: ...

class SessionStreamRequest(_message.Message):
    __slots__ = ("request_id", "send_data", "create_session", "close_session", "query_auth_key", "set_auth_key")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SEND_DATA_FIELD_NUMBER: _ClassVar[int]
    CREATE_SESSION_FIELD_NUMBER: _ClassVar[int]
    CLOSE_SESSION_FIELD_NUMBER: _ClassVar[int]
    QUERY_AUTH_KEY_FIELD_NUMBER: _ClassVar[int]
    SET_AUTH_KEY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    send_data: TL_session_sendDataToSession
    create_session: TL_session_createSession
    close_session: TL_session_closeSession
    query_auth_key: TL_session_queryAuthKey
    set_auth_key: TL_session_setAuthKey
    def __init__(self, request_id: _Optional[str] = ..., send_data: _Optional[_Union[TL_session_sendDataToSession, _Mapping]] = ..., create_session: _Optional[_Union[TL_session_createSession, _Mapping]] = ..., close_session: _Optional[_Union[TL_session_closeSession, _Mapping]] = ..., query_auth_key: _Optional[_Union[TL_session_queryAuthKey, _Mapping]] = ..., set_auth_key: _Optional[_Union[TL_session_setAuthKey, _Mapping]] = ...) -> None: ...

class SessionStreamAck(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class SessionStreamError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class SessionStreamResponse(_message.Message):
    __slots__ = ("request_id", "ack", "error", "auth_key")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    ack: SessionStreamAck
    error: SessionStreamError
    auth_key: _mtproto_pb2.AuthKeyInfo
    def __init__(self, request_id: _Optional[str] = ..., ack: _Optional[_Union[SessionStreamAck, _Mapping]] = ..., error: _Optional[_Union[SessionStreamError, _Mapping]] = ..., auth_key: _Optional[_Union[_mtproto_pb2.AuthKeyInfo, _Mapping]] = ...) -> None: ...
