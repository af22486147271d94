"""The wheel: built, installed beside its dependencies, and used outside of the checkout."""

import shutil
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from unittest import TestCase

from gnetway import __version__
from tests.live.gateway import ROOT, TWISTD, run

#: What a source archive of the project has in it; a build must not litter the checkout.
SOURCES = (
    "gnetway",
    "twisted",
    "etc",
    "setup.cfg",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)

#: Nothing is asked of the network.
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")


class WheelTests(TestCase):
    folder: Path
    environment: Path
    python: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="gnetway-wheel-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls._make_environment(cls._build())

    @classmethod
    def _build(cls) -> Path:
        source = cls.folder / "source"
        source.mkdir()
        for name in SOURCES:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "dropin.cache")
                shutil.copytree(ROOT / name, source / name, ignore=ignored)
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, source)
        options = ("--no-deps", "--no-build-isolation", "--no-index", "-w", str(cls.folder))
        done = run(*PIP, "wheel", *options, ".", cwd=source, seconds=120)
        assert done.returncode == 0, done.stdout + done.stderr
        (wheel,) = cls.folder.glob("*.whl")
        return wheel

    @classmethod
    def _make_environment(cls, wheel: Path) -> None:
        """Make a virtual environment with the wheel, and with this one's packages behind it."""
        cls.environment = cls.folder / "venv"
        venv.create(cls.environment)
        bin_folder = cls.environment / "bin"
        cls.python = str(bin_folder / "python")
        done = run(
            *PIP,
            "--python",
            cls.python,
            "install",
            "--no-deps",
            "--no-index",
            str(wheel),
            cwd=cls.folder,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        # The folder's own .pth files, which lead to the checkout, do not count behind a .pth.
        own, others = (
            Path(sysconfig.get_path("purelib", vars={"base": str(base)}))
            for base in (cls.environment, sys.prefix)
        )
        (own / "dependencies.pth").write_text(f"{others}\n")

    def run_installed(self, *arguments: str) -> str:
        done = run(*arguments, cwd=self.folder, environment={"PYTHONPATH": ""})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_it_is_not_the_checkout(self) -> None:
        for module in ("gnetway", "twisted.plugins.gnetway_plugin"):
            code = f"import sys, {module} as module; print(module.__file__, *sys.path)"
            said = self.run_installed(self.python, "-c", code).split()
            self.assertTrue(said[0].startswith(str(self.environment)), said[0])
            self.assertNotIn(str(ROOT), said)

    def test_the_gnetway_command(self) -> None:
        command = str(self.environment / "bin" / "gnetway")
        self.assertEqual(
            self.run_installed(command, "--version"), f"gnetway {__version__} (core: pure Python)\n"
        )
        key = self.folder / "made.key"
        self.assertIn("fingerprint", self.run_installed(command, "make-key", str(key)))
        for options, name in (((), "gnetway.yaml"), (("--cluster",), "gnetway-cluster.yaml")):
            made = self.folder / f"made-{name}"
            self.run_installed(command, "make-config", *options, str(made))
            self.assertEqual(made.read_bytes(), (ROOT / "etc" / name).read_bytes())
        self.assertIn("HOST:PORT", self.run_installed(command, "ping", "--help"))

    def test_twistd_finds_the_plugin(self) -> None:
        said = self.run_installed(self.python, TWISTD, "gnetway", "--version")
        self.assertEqual(said, f"gnetway {__version__}\n")

    def test_all_of_it_can_be_imported(self) -> None:
        """No module was left out, and none needs an extra before it is used."""
        code = (
            "import pkgutil, gnetway\n"
            "for found in pkgutil.walk_packages(gnetway.__path__, 'gnetway.'):\n"
            "    found.name.endswith('__main__') or __import__(found.name)\n"
            "    print(found.name)\n"
        )
        imported = set(self.run_installed(self.python, "-c", code).split())
        files = (ROOT / "gnetway").rglob("*.py")
        there = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
        self.assertEqual({name.removesuffix(".__init__") for name in there} - {"gnetway"}, imported)

    def test_it_says_that_it_is_typed(self) -> None:
        (found,) = self.environment.rglob("gnetway/py.typed")
        self.assertTrue(found.exists())
