import contextlib
import datetime as dt
from pathlib import PurePosixPath

from hypothesis import given, settings
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.document import (
    MAX_DEPTH,
    MAX_NODES,
    Faults,
    Node,
    Rejected,
    from_mapping,
    from_yaml,
)


def parsed(written: str) -> Node:
    faults = Faults("f")
    root = from_yaml(written, faults)
    assert not faults.lines(), faults.lines()
    return root


def child(node: Node, *steps: str | int) -> Node:
    for step in steps:
        assert isinstance(node.value, dict | list)
        inner = dict(enumerate(node.value)) if isinstance(node.value, list) else node.value
        node = inner[step]
    return node


class YamlTests(SynchronousTestCase):
    def refused(self, written: str, *expected: str) -> None:
        faults = Faults("f")
        with contextlib.suppress(Rejected):
            from_yaml(written, faults)
        self.assertEqual(faults.lines(), list(expected))

    def test_values(self) -> None:
        root = parsed("A: [1, x, true, null]\nB: {C: 1.5}\n")
        self.assertEqual(root.plain(), {"a": [1, "x", True, None], "b": {"c": 1.5}})

    def test_lines_and_paths(self) -> None:
        """A key has its own line, wherever its value stands; an item has that of its value."""
        root = parsed("# head\nA:\n  B:\n    - x\n    - C:\n        1\n")
        for steps, line, path in (
            (("A",), 2, "A"),
            (("A", "B"), 3, "A.B"),
            (("A", "B", 0), 4, "A.B[0]"),
            (("A", "B", 1), 5, "A.B[1]"),
            (("A", "B", 1, "C"), 5, "A.B[1].C"),
        ):
            node = child(root, *steps)
            self.assertEqual((node.line, node.path), (line, path))

    def test_syntax_error(self) -> None:
        self.refused(
            "A: 1\nB: [1\nC: 2\n",
            "f:3: found a YAML error while parsing a flow sequence:"
            " expected ',' or ']', but got ':'; allowed: YAML",
        )

    def test_tab(self) -> None:
        self.refused(
            "A:\n\tB: 1\n",
            "f:2: found a YAML error while scanning for the next token:"
            " found character '\\t' that cannot start any token; allowed: YAML",
        )

    def test_control_character(self) -> None:
        self.refused(
            "A: 1\nB: \x07\n", "f:2: found a character that YAML does not allow; allowed: YAML"
        )

    def test_empty(self) -> None:
        for written in ("", "# only a comment\n", "---\n...\n"):
            faults = Faults("f")
            try:
                self.assertIsNone(from_yaml(written, faults).value)
            except Rejected:
                self.assertEqual(
                    faults.lines(), ["f: found an empty file; allowed: a mapping of keys"]
                )

    def test_two_documents(self) -> None:
        self.refused(
            "A: 1\n---\nB: 1\n",
            "f:2: found a YAML error expected a single document in the stream:"
            " but found another document; allowed: YAML",
        )

    def test_key_twice(self) -> None:
        """Teamgram reads keys in any case, so two cases are the same key."""
        self.refused(
            "A:\n  B: 1\n  C: 1\n  b: 2\n",
            "f:4: A.b: found the key a second time; allowed: each key once",
        )

    def test_key_that_is_no_text(self) -> None:
        allowed = "allowed: names as keys, no <<"
        for written in ("A: &a {B: 1}\nC:\n  <<: *a\n", "A: 1\nC:\n  5: 1\n"):
            self.refused(written, f"f:3: C: found a key that is no text; {allowed}")
        self.refused("? [x]\n: 1\n", f"f:1: found a key that is no text; {allowed}")

    def test_value_that_does_not_fit_its_tag(self) -> None:
        plain = "allowed: plain YAML values"
        for written, tag in (
            ("!!int x", "int"),
            ("!!int ''", "int"),
            ("!!float x", "float"),
            ("!!bool x", "bool"),
            ("2026-99-99", "timestamp"),
            ("9" * 5000, "int"),
            ("!own x", "!own"),
            ("!!python/object/apply:os.getcwd []", "python/object/apply:os.getcwd"),
            ("!!set {x}", "set"),
        ):
            self.refused(
                f"A: 1\nB: {written}\n", f"f:2: B: found a value that is no {tag!r}; {plain}"
            )

    def test_date_is_a_value(self) -> None:
        self.assertEqual(parsed("A: 2026-01-02\n").plain(), {"a": dt.date(2026, 1, 2)})

    def test_alias(self) -> None:
        self.assertEqual(parsed("A: &a [1]\nB: *a\n").plain(), {"a": [1], "b": [1]})

    def test_undefined_alias(self) -> None:
        self.refused("A: *a\n", "f:1: found a YAML error: found undefined alias 'a'; allowed: YAML")

    def test_alias_of_itself(self) -> None:
        faults = Faults("f")
        self.assertRaises(Rejected, from_yaml, "A: &a [*a]\n", faults)
        self.assertIn(f"found too many levels; allowed: {MAX_DEPTH} levels", faults.lines()[0])

    def test_aliases_that_multiply(self) -> None:
        """Ten to the power of nine values in ten lines."""
        grown = (
            f"A{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)
        )
        faults = Faults("f")
        self.assertRaises(Rejected, from_yaml, "\n".join(["A0: &a0 x", *grown]), faults)
        self.assertIn(f"found too many values; allowed: {MAX_NODES} values", faults.lines()[0])

    def test_depth(self) -> None:
        def nested(levels: int) -> str:
            return "A: " + "[" * levels + "]" * levels

        parsed(nested(MAX_DEPTH))
        for levels in (MAX_DEPTH + 1, 50_000):
            faults = Faults("f")
            self.assertRaises(Rejected, from_yaml, nested(levels), faults)
            self.assertIn("found too many levels", faults.lines()[0])

    @settings(max_examples=500)
    @given(written=text(alphabet="ab:-[]{}&*!?|>'\"%#,<\t\n 01.~@`\\", max_size=60))
    def test_nothing_but_rejected(self, written: str) -> None:
        """Any text is a tree or has a fault; nothing else comes out of the YAML library."""
        faults = Faults("f")
        try:
            self.assertIsInstance(from_yaml(written, faults), Node)
        except Rejected:
            self.assertNotEqual(faults.lines(), [])


class MappingTests(SynchronousTestCase):
    def test_values_without_lines(self) -> None:
        root = from_mapping({"A": ({"B": PurePosixPath("/x")}, 1)}, Faults("f"))
        self.assertEqual(root.plain(), {"a": [{"b": "/x"}, 1]})
        node = child(root, "A", 0, "B")
        self.assertEqual((node.line, node.path), (0, "A[0].B"))

    def test_mapping_that_holds_itself(self) -> None:
        data: dict[str, object] = {}
        data["A"] = data
        faults = Faults("f")
        self.assertRaises(Rejected, from_mapping, data, faults)
        self.assertIn("found too many levels", faults.lines()[0])

    def test_long_key_is_cut_in_the_path(self) -> None:
        root = from_mapping({"x" * 1000: {"y": 1}}, Faults("f"))
        self.assertEqual(child(root, "x" * 1000, "y").path, "x" * 40 + "….y")
