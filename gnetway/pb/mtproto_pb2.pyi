from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Constructor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSTRUCTOR_UNKNOWN: _ClassVar[Constructor]
    BOOL_TRUE: _ClassVar[Constructor]
    BOOL_FALSE: _ClassVar[Constructor]
    AUTH_KEY_INFO: _ClassVar[Constructor]
    FUTURE_SALT: _ClassVar[Constructor]
CONSTRUCTOR_UNKNOWN: Constructor
BOOL_TRUE: Constructor
BOOL_FALSE: Constructor
AUTH_KEY_INFO: Constructor
FUTURE_SALT: Constructor

class Bool(_message.Message):
    __slots__ = ("predicate_name", "constructor")
    PREDICATE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    predicate_name: str
    constructor: Constructor
    def __init__(self, predicate_name: _Optional[str] = ..., constructor: _Optional[_Union[Constructor, str]] = ...) -> None: ...

class AuthKeyInfo(_message.Message):
    __slots__ = ("predicate_name", "constructor", "auth_key_id", "auth_key", "auth_key_type", "perm_auth_key_id", "temp_auth_key_id", "media_temp_auth_key_id")
    PREDICATE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_TYPE_FIELD_NUMBER: _ClassVar[int]
    PERM_AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEMP_AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TEMP_AUTH_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    predicate_name: str
    constructor: Constructor
    auth_key_id: int
    auth_key: bytes
    auth_key_type: int
    perm_auth_key_id: int
    temp_auth_key_id: int
    media_temp_auth_key_id: int
    def __init__(self, predicate_name: _Optional[str] = ..., constructor: _Optional[_Union[Constructor, str]] = ..., auth_key_id: _Optional[int] = ..., auth_key: _Optional[bytes] = ..., auth_key_type: _Optional[int] = ..., perm_auth_key_id: _Optional[int] = ..., temp_auth_key_id: _Optional[int] = ..., media_temp_auth_key_id: _Optional[int] = ...) -> None: ...

class FutureSalt(_message.Message):
    __slots__ = ("predicate_name", "constructor", "valid_since", "valid_until", "salt")
    PREDICATE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONSTRUCTOR_FIELD_NUMBER: _ClassVar[int]
    VALID_SINCE_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    predicate_name: str
    constructor: Constructor
    valid_since: int
    valid_until: int
    salt: int
    def __init__(self, predicate_name: _Optional[str] = ..., constructor: _Optional[_Union[Constructor, str]] = ..., valid_since: _Optional[int] = ..., valid_until: _Optional[int] = ..., salt: _Optional[int] = ...) -> None: ...
