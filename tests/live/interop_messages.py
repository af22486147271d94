"""The messages of gRPC's interop TestService, as far as its cases need them.

Source: github.com/grpc/grpc, src/proto/grpc/testing/messages.proto
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_INT32: Final = descriptor_pb2.FieldDescriptorProto.TYPE_INT32
_BOOL: Final = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
_BYTES: Final = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
_STRING: Final = descriptor_pb2.FieldDescriptorProto.TYPE_STRING

#: message -> field -> number and type, the name of a message among them; "*" before it: repeated
_MESSAGES: Final[dict[str, dict[str, tuple[int, Any]]]] = {
    "Payload": {"type": (1, _INT32), "body": (2, _BYTES)},
    "EchoStatus": {"code": (1, _INT32), "message": (2, _STRING)},
    "SimpleRequest": {
        "response_size": (2, _INT32),
        "payload": (3, "Payload"),
        "response_status": (7, "EchoStatus"),
        "fill_server_id": (9, _BOOL),
    },
    "SimpleResponse": {"payload": (1, "Payload"), "server_id": (4, _STRING)},
    "StreamingInputCallRequest": {"payload": (1, "Payload")},
    "StreamingInputCallResponse": {"aggregated_payload_size": (1, _INT32)},
    "ResponseParameters": {"size": (1, _INT32), "interval_us": (2, _INT32)},
    "StreamingOutputCallRequest": {
        "response_parameters": (2, "*ResponseParameters"),
        "payload": (3, "Payload"),
        "response_status": (7, "EchoStatus"),
    },
    "StreamingOutputCallResponse": {"payload": (1, "Payload")},
}


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="interop", package="interop", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".interop.{kind.removeprefix('*')}"
                if kind.startswith("*"):
                    added.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL: Final = _pool()


def message(name: str) -> Any:
    """Return the class of a message."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"interop.{name}"))


SimpleRequest = message("SimpleRequest")
SimpleResponse = message("SimpleResponse")
InputRequest = message("StreamingInputCallRequest")
InputResponse = message("StreamingInputCallResponse")
OutputRequest = message("StreamingOutputCallRequest")
OutputResponse = message("StreamingOutputCallResponse")
