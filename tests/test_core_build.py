"""What the compiled core must not differ in (docs/compiled-core.md), and which build tests run."""

import ast
from configparser import ConfigParser
from pathlib import Path
from unittest import TestCase

import gnetway.connection.connection
import gnetway.http2.server
import gnetway.tl.primitives
from gnetway._version import core_build

ROOT = Path(__file__).parents[1]


def options() -> dict[str, str]:
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return dict(config["gnetway:compiled"])


def modules() -> list[Path]:
    return [file for pattern in options()["modules"].split() for file in ROOT.glob(pattern)]


class CoreBuildTests(TestCase):
    def test_it_is_what_was_imported(self) -> None:
        ending = ".so" if core_build() == "compiled (mypyc)" else ".py"
        for module in (gnetway.tl.primitives, gnetway.connection.connection, gnetway.http2.server):
            self.assertTrue(str(module.__file__).endswith(ending), module.__file__)


class CompiledModulesTests(TestCase):
    def test_every_pattern_finds_modules(self) -> None:
        for pattern in options()["modules"].split():
            self.assertTrue(list(ROOT.glob(pattern)), pattern)

    def test_the_compiler_is_the_locked_mypy(self) -> None:
        lock = (ROOT / "requirements-dev.lock").read_text()
        self.assertIn(f"\n{options()['requires']} ", lock)

    def test_no_error_is_raised_from_none(self) -> None:
        """Compiled code would drop the words, and show the error that they are there to hide."""
        for file in modules():
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Raise) and isinstance(node.cause, ast.Constant):
                    self.fail(f"{file}:{node.lineno}")

    def test_classes_are_native(self) -> None:
        """Of a decorated class mypyc makes a plain one, slower than the rest; dataclasses apart."""
        for file in modules():
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    decorators = {ast.unparse(one).partition("(")[0] for one in node.decorator_list}
                    self.assertLessEqual(decorators, {"dataclass"}, f"{file}:{node.lineno}")

    def test_objects_of_a_class_share_what_was_called_once(self) -> None:
        """Without ClassVar each object would have a logger of its own."""
        for file in modules():
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    for line in node.body:
                        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Call):
                            self.fail(f"{file}:{line.lineno}")

    def test_no_enum_has_an_init(self) -> None:
        """Its members would be taken for objects of another class while they are made."""
        for file in modules():
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and "Enum" in "".join(
                    map(ast.unparse, node.bases)
                ):
                    names = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
                    self.assertNotIn("__init__", names, f"{file}:{node.lineno}")
