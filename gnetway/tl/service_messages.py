"""The service messages under one name, whichever file they stand in.

Records without fields (destroy_auth_key and its answers, rpc_answer_unknown…) are not here: they
are their constructor ids.
"""

from gnetway.tl.acks import (
    BadMsgNotification,
    ContainedMessage,
    MsgDetailedInfo,
    MsgNewDetailedInfo,
    MsgResendReq,
    MsgsAck,
    MsgsAllInfo,
    MsgsStateInfo,
    MsgsStateReq,
    pack_container,
    parse_container,
)
from gnetway.tl.rpc_results import (
    BadServerSalt,
    FutureSalts,
    GetFutureSalts,
    RpcAnswerDropped,
    RpcDropAnswer,
    RpcErrorObject,
    RpcResult,
)
from gnetway.tl.sessions import (
    BindAuthKeyInner,
    BindTempAuthKey,
    DestroySession,
    DestroySessionNone,
    DestroySessionOk,
    HttpWait,
    NewSessionCreated,
    Ping,
    PingDelayDisconnect,
    Pong,
)

__all__ = [
    "BadMsgNotification",
    "BadServerSalt",
    "BindAuthKeyInner",
    "BindTempAuthKey",
    "ContainedMessage",
    "DestroySession",
    "DestroySessionNone",
    "DestroySessionOk",
    "FutureSalts",
    "GetFutureSalts",
    "HttpWait",
    "MsgDetailedInfo",
    "MsgNewDetailedInfo",
    "MsgResendReq",
    "MsgsAck",
    "MsgsAllInfo",
    "MsgsStateInfo",
    "MsgsStateReq",
    "NewSessionCreated",
    "Ping",
    "PingDelayDisconnect",
    "Pong",
    "RpcAnswerDropped",
    "RpcDropAnswer",
    "RpcErrorObject",
    "RpcResult",
    "pack_container",
    "parse_container",
]
