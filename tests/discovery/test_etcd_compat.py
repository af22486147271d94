"""Fails when etcd3 or protobuf is no longer what etcd_compat was written for."""

import importlib.util
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from gnetway.discovery import etcd3_package
from gnetway.discovery.etcd3_package import (
    EtcdPackageUnusable,
    import_etcd3,
    serialized_descriptor,
)


class ImportTests(SynchronousTestCase):
    def test_version(self) -> None:
        """Another version may need nothing, or something else: look before trusting it."""
        self.assertEqual(version("etcd3").split(".")[:2], ["0", "12"])

    def test_still_needed(self) -> None:
        """Once etcd3 imports by itself, the module can go."""
        plain = subprocess.run(
            [sys.executable, "-c", "import etcd3"], capture_output=True, text=True, check=False
        )
        self.assertNotEqual(plain.returncode, 0)
        self.assertIn("protobuf", plain.stderr)

    def test_names(self) -> None:
        """Every message and stub that the connection uses, with the fields it uses."""
        rpc = import_etcd3().etcdrpc
        for message, fields in {
            "RangeRequest": "key range_end",
            "RangeResponse": "header kvs",
            "PutRequest": "key value lease",
            "WatchRequest": "create_request",
            "WatchCreateRequest": "key range_end start_revision",
            "WatchResponse": "canceled cancel_reason compact_revision events",
            "LeaseGrantRequest": "TTL",
            "LeaseGrantResponse": "ID",
            "LeaseKeepAliveRequest": "ID",
            "LeaseKeepAliveResponse": "TTL",
            "LeaseRevokeRequest": "ID",
            "AuthenticateRequest": "name password",
            "AuthenticateResponse": "token",
        }.items():
            known = getattr(rpc, message).DESCRIPTOR.fields_by_name
            self.assertEqual(set(fields.split()) - set(known), set(), message)
        for stub in ("KVStub", "LeaseStub", "WatchStub", "AuthStub"):
            self.assertTrue(callable(getattr(rpc, stub)), stub)

    def test_bytes(self) -> None:
        """The built classes write and read etcd's wire."""
        rpc = import_etcd3().etcdrpc
        self.assertEqual(
            rpc.PutRequest(key=b"k", value=b"v", lease=5).SerializeToString(),
            b"\x0a\x01k\x12\x01v\x18\x05",
        )
        response = rpc.WatchResponse.FromString(bytes.fromhex("5a07 0801 1203 0a01 6b"))
        self.assertEqual(response.events[0].type, response.events[0].DELETE)
        self.assertEqual(response.events[0].kv.key, b"k")

    def test_once(self) -> None:
        self.assertIs(import_etcd3(), import_etcd3())


class ChangedPackageTests(SynchronousTestCase):
    def test_literal(self) -> None:
        source = "import gone\nx = FileDescriptor(name='a', serialized_pb=_b('\\x00\\xff'))"
        self.assertEqual(serialized_descriptor(source), b"\x00\xff")

    def test_quotes_in_the_literal(self) -> None:
        source = r"a('it\'s') serialized_pb=_b('a\'\\'), b='c')"
        self.assertEqual(serialized_descriptor(source), b"a'\\")

    def test_no_literal(self) -> None:
        self.assertRaises(EtcdPackageUnusable, serialized_descriptor, "x = f(serialized_pb=b'1')")

    def hide_etcd3(self, spec: object) -> None:
        others = {name: module for name, module in sys.modules.items() if name != "etcd3"}
        for patcher in (
            patch.dict(sys.modules, others, clear=True),
            patch.object(importlib.util, "find_spec", lambda name: spec),
        ):
            patcher.start()
            self.addCleanup(patcher.stop)

    def test_not_installed(self) -> None:
        self.hide_etcd3(None)
        self.assertIn("not installed", str(self.assertRaises(EtcdPackageUnusable, import_etcd3)))

    def test_without_generated_modules(self) -> None:
        empty = Path(self.mktemp())
        empty.mkdir()
        self.hide_etcd3(importlib.util.spec_from_file_location("etcd3", empty / "__init__.py"))
        self.assertIn("no kv_pb2", str(self.assertRaises(EtcdPackageUnusable, import_etcd3)))

    def test_order(self) -> None:
        self.assertEqual(etcd3_package.MODULES, ("kv_pb2", "auth_pb2", "rpc_pb2"))
