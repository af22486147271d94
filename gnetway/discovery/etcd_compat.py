"""Makes the ``etcd3`` package (0.12) import with today's protobuf.

Its generated modules are older than protobuf's runtime allows. But each carries the serialised
descriptor of its .proto file as a literal: that is read from the source, without importing it,
and today's protobuf builds the same names from it. The modules so built take the places of
etcd3's own in ``sys.modules`` before it is imported.
"""

import ast
import importlib
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.internal import builder

from gnetway.errors import GatewayError

PACKAGE: Final = "etcd3.etcdrpc"

#: In order of their imports of each other.
MODULES: Final = ("kv_pb2", "auth_pb2", "rpc_pb2")

_import_lock: Final = threading.Lock()


class EtcdPackageUnusable(GatewayError):
    """The etcd3 package is missing, or no longer what this module was written for."""


def import_etcd3() -> ModuleType:
    """Return the imported etcd3 package. It reads files: not for the reactor thread.

    :raises EtcdPackageUnusable: it is not installed, or it has changed.
    """
    with _import_lock:  # several threads come here at once, and classes must be built once
        if "etcd3" not in sys.modules:
            _put_built_modules()
        return importlib.import_module("etcd3")


def _put_built_modules() -> None:
    spec = importlib.util.find_spec("etcd3")
    if spec is None or spec.origin is None:
        raise EtcdPackageUnusable("the etcd3 package is not installed (gnetway[etcd])")
    folder = Path(spec.origin).parent / "etcdrpc"
    built = [_build(name, folder / f"{name}.py") for name in MODULES]
    sys.modules.update({module.__name__: module for module in built})


def serialized_descriptor(source: str) -> bytes:
    """Return the file descriptor that a generated module's source holds as a literal.

    It stands there as ``serialized_pb=_b('...')``, one character for each byte.

    :raises EtcdPackageUnusable: there is no such literal.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.keyword(
                arg="serialized_pb", value=ast.Call(args=[ast.Constant(value=str(text))])
            ):
                return text.encode("latin-1")
    raise EtcdPackageUnusable("the etcd3 package carries its descriptors in another way")


def _build(name: str, file: Path) -> ModuleType:
    try:
        source = file.read_text(encoding="utf-8")
    except OSError as error:
        raise EtcdPackageUnusable(f"the etcd3 package has no {name}") from error
    module = ModuleType(f"{PACKAGE}.{name}")
    descriptor = descriptor_pool.Default().AddSerializedFile(serialized_descriptor(source))
    module.__dict__["DESCRIPTOR"] = descriptor
    builder.BuildMessageAndEnumDescriptors(descriptor, module.__dict__)
    builder.BuildTopDescriptorsAndMessages(descriptor, module.__name__, module.__dict__)
    return module
