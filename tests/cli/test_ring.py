"""``gnetway ring``: the node of a key, over nodes that stand in the configuration."""

import json
import tempfile
from argparse import ArgumentTypeError
from pathlib import Path
from unittest import TestCase

from gnetway.cli.ring import auth_key_id
from gnetway.dispatch.ring import Ring
from tests.cli.fake_admin import run

NODES = ["10.0.0.7:20120", "10.0.0.8:20120", "10.0.0.9:20120"]


class KeyIdTests(TestCase):
    def test_one_key_in_every_form(self) -> None:
        for text in ("-2", "18446744073709551614", "0xfffffffffffffffe", "FFFFFFFFFFFFFFFE"):
            self.assertEqual(auth_key_id(text), -2, text)
        # Digits alone are decimal.
        self.assertEqual(auth_key_id("1234567890123456"), 1234567890123456)
        self.assertEqual(auth_key_id("0x1234567890123456"), 0x1234567890123456)

    def test_none(self) -> None:
        for text in ("", "x", "1.5", "18446744073709551616", "-9223372036854775809", "1" * 5000):
            with self.assertRaises(ArgumentTypeError):
                auth_key_id(text)


class RingTests(TestCase):
    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.file = Path(folder) / "gnetway.yaml"
        self.file.write_text(f"Session: {{Endpoints: {json.dumps(NODES)}}}\n")
        self.ring = Ring()
        for node in NODES:
            self.ring.add(node)

    def test_the_node_that_gateways_use(self) -> None:
        for key in (1, -7, 1 << 62):
            found = json.loads(run("ring", str(key), "-c", str(self.file), "--json").out)
            self.assertEqual((found["auth_key_id"], found["node"]), (key, self.ring.node_for(key)))
            self.assertEqual(found["order"], list(self.ring.nodes_from(key)))
        ran = run("ring", "-7", "-c", str(self.file))
        first, after, *_ = ran.out.splitlines()
        node, *others = self.ring.nodes_from(-7)
        self.assertEqual(first, f"auth key -7 (0xfffffffffffffff9): {node}")
        self.assertTrue(after.endswith(f": {', '.join(others)}"), after)

    def test_shares(self) -> None:
        out = run("ring", "-c", str(self.file)).out
        self.assertEqual(len(out.splitlines()), 4)
        shares = self.ring.shares()
        self.assertAlmostEqual(sum(shares.values()), 1)
        held = [self.ring.node_for(key) for key in range(3000)]
        for node in NODES:
            self.assertAlmostEqual(held.count(node) / 3000, shares[node], delta=0.03)

    def test_nobody_has_an_empty_ring(self) -> None:
        self.assertEqual(Ring().shares(), {})

    def test_no_ring(self) -> None:
        for text in ("Session: {Embedded: {Store: memory}}\n", "Name: x\n"):
            self.file.write_text(text)
            ran = run("ring", "1", "-c", str(self.file))
            self.assertEqual(ran.status, 1)
            self.assertIn("there is no ring", ran.err)
