"""Makes the ``etcd3`` package (0.12) import with today's protobuf.

Its generated modules are older than protobuf's runtime allows. But each carries the serialised
descriptor of its .proto file as a literal: that is read from the source, without importing it,
and today's protobuf builds the same names from it. The modules so built take the places of
etcd3's own in ``sys.modules`` before it is imported.
"""

import ast
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.internal import builder

from gnetway.errors import GatewayError

PACKAGE: Final = "etcd3.etcdrpc"

#: In order of their imports of each other.
MODULES: Final = ("kv_pb2", "auth_pb2", "rpc_pb2")

#: The literal of a descriptor; within quotes of one kind, as protoc writes it.
_LITERAL: Final = re.compile(r"serialized_pb=_b\(('(?:[^'\\\n]|\\.)*')\)")


class EtcdPackageUnusable(GatewayError):
    """The etcd3 package is missing, or no longer what this module was written for."""


def import_etcd3() -> ModuleType:
    """Return the imported etcd3 package. The first time it reads files, some 50 ms long.

    :raises EtcdPackageUnusable: it is not installed, or it has changed.
    """
    if "etcd3" not in sys.modules:
        _put_built_modules()
    return importlib.import_module("etcd3")


def _put_built_modules() -> None:
    spec = importlib.util.find_spec("etcd3")
    if spec is None or spec.origin is None:
        raise EtcdPackageUnusable("the etcd3 package is not installed (`pip install etcd3`)")
    folder = Path(spec.origin).parent / "etcdrpc"
    built = [_build(name, folder / f"{name}.py") for name in MODULES]
    sys.modules.update({module.__name__: module for module in built})


def serialized_descriptor(source: str) -> bytes:
    """Return the file descriptor that a generated module's source holds as a literal.

    It stands there as ``serialized_pb=_b('...')``, one character for each byte. The rest is not
    parsed: the tree of the largest module would leave 4 MiB behind in the allocator.

    :raises EtcdPackageUnusable: there is no such literal.
    """
    literal = _LITERAL.search(source)
    if literal is None:
        raise EtcdPackageUnusable("the etcd3 package carries its descriptors in another way")
    text: str = ast.literal_eval(literal[1])
    return text.encode("latin-1")


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
