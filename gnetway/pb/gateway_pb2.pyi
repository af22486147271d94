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
    SEND_DATA_TO_GATEWAY: _ClassVar[Constructor]
CONSTRUCTOR_UNKNOWN: Constructor
SEND_DATA_TO_GATEWAY: Constructor

class TL_gateway_sendDataToGateway(_message.Message):
    __slots__ = ("constructor", "auth_key_id", "session_id", "payload")
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    constructor: Constructor
    auth_key_id: int
    session_id: int
    payload: bytes
    def __init__(self, constructor: _Optional[_Union[Constructor, str]] = ..., auth_key_id: _Optional[int] = ..., session_id: _Optional[int] = ..., payload: _Optional[bytes] = ...) -> None: ...

class GatewayStreamRequest(_message.Message):
    __slots__ = ("request_id", "send_data")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SEND_DATA_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    send_data: TL_gateway_sendDataToGateway
    def __init__(self, request_id: _Optional[str] = ..., send_data: _Optional[_Union[TL_gateway_sendDataToGateway, _Mapping]] = ...) -> None: ...

class GatewayStreamResponse(_message.Message):
    __slots__ = ("request_id", "success")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    success: bool
    def __init__(self, request_id: _Optional[str] = ..., success: _Optional[bool] = ...) -> None: ...
