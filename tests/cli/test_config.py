"""``gnetway config``: where each value comes from, and the schema of the file."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gnetway.config.load import load_mapping
from gnetway.errors import ConfigError
from tests.cli.fake_admin import TOKEN, run
from tests.config.cases import ConfigCase

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "etc" / "gnetway.yaml", ROOT / "etc" / "gnetway-cluster.yaml"]
TEAMGRAM = ROOT / "tests" / "vectors" / "teamgram_gnetway.yaml"

TEXT = f"""\
RSAKey:
  - KeyFile: key.pem
Admin:
  Addresses: [127.0.0.1:11080]
  Token: {TOKEN}
Gnetway:
  Server:
    - Addresses: [127.0.0.1:10443]
      UnixMode: 0600
  Limits:
    IdleSeconds: 200
    MemoryBudget: 256
Session:
  Embedded: {{Store: memory}}
"""


class ConfigTests(ConfigCase):
    def settings(self, text: str = TEXT) -> dict[str, dict[str, Any]]:
        ran = run("config", "--json", "-c", self.write("gnetway.yaml", text))
        self.assertEqual((ran.status, ran.err), (0, ""))
        return {setting["path"]: setting for setting in json.loads(ran.out)["settings"]}

    def test_where_each_value_comes_from(self) -> None:
        found = self.settings()
        for path, value, source, line in (
            ("Gnetway.Limits.IdleSeconds", 200, "file", 11),
            ("Gnetway.Limits.KeyLookupSeconds", 10, "default", 0),
            ("Gnetway.Limits.MaxUnsentBytes", 64 << 20, "derived", 0),
            ("Gnetway.Limits.MemoryBudget", 256, "file", 12),
            ("Gnetway.Server[0].Proto", "tcp", "default", 0),
            ("Gnetway.Server[0].Addresses", ["127.0.0.1:10443"], "file", 8),
            ("Gnetway.Server[0].UnixMode", "0600", "file", 9),
            ("Gnetway.Server[0].TLS", None, "default", 0),
            ("Session.Embedded.ThisDC", 2, "derived", 0),
            ("Session.Embedded.MaxUnackedBytes", 16 << 20, "derived", 0),
            ("RSAKey[0].KeyFile", str(self.directory / "key.pem"), "file", 2),
            ("Workers", 1, "default", 0),
        ):
            one = found[path]
            told = (one["value"], one["source"], one["line"])
            self.assertEqual(told, (value, source, line), path)
        self.assertEqual(found["Gnetway.Limits.IdleSeconds"]["unit"], "seconds")
        self.assertFalse(found["Gnetway.Server[0].UnixMode"]["has_effect"])
        connections = found["Gnetway.Admission.Connections"]
        self.assertEqual(connections["source"], "derived")
        self.assertGreater(connections["value"], 0)

    def test_what_a_reload_takes(self) -> None:
        found = self.settings()
        live = {path for path, setting in found.items() if setting["live"]}
        for path in ("RSAKey[0].KeyFile", "Gnetway.Limits.IdleSeconds", "Gnetway.Server[0].TLS"):
            self.assertIn(path, live)
        for path in ("Gnetway.Server[0].Addresses", "Gnetway.Limits.MemoryBudget", "Workers"):
            self.assertNotIn(path, live)

    def test_an_address_as_one_text(self) -> None:
        text = TEXT.replace("UnixMode: 0600", "PublicAddress: 203.0.113.5")
        found = self.settings(text)
        for name, source in (("Host", "file"), ("MediaOnly", "default")):
            setting = found[f"Gnetway.Server[0].PublicAddress.{name}"]
            self.assertEqual(setting["source"], source)

    def test_for_people(self) -> None:
        ran = run("config", "-c", self.write("gnetway.yaml", TEXT))
        self.assertRegex(ran.out, r"IdleSeconds +200 seconds +reload +.*gnetway.yaml:11\n")
        self.assertRegex(ran.out, r"UnixMode +0600 +restart +.*:9, without effect\n")
        self.assertRegex(ran.out, r"MaxUnsentBytes +67108864 bytes +reload +derived: What may wait")

    def test_no_secret(self) -> None:
        etcd = "{Hosts: ['127.0.0.1:2379'], User: root, Pass: a very secret word}"
        text = TEXT.replace("  Embedded: {Store: memory}", f"  Etcd: {etcd}")
        text += f"ListenOn: 127.0.0.1:20110\nEtcd: {etcd}\n"
        for arguments in ((), ("--json",)):
            out = run("config", "-c", self.write("gnetway.yaml", text), *arguments).out
            self.assertIn("***", out)
            for secret in (TOKEN, "very secret", "PRIVATE"):
                self.assertNotIn(secret, out)
        found = self.settings(text)
        self.assertEqual(found["Session.Etcd.Pass"]["value"], "***")
        self.assertEqual(found["Session.Etcd.User"]["value"], "root")
        self.assertEqual(found["Admin.Token"]["value"], "***")

    def test_older_forms(self) -> None:
        """Teamgram's own file, and the layout before Gnetway."""
        older = (
            "KeyFile: key.pem\nServer: {Addrs: ['127.0.0.1:10443'], SendBuf: 1}\n"
            "Session: {Embedded: {Store: memory}}\n"
        )
        found = self.settings(older)
        self.assertEqual(found["KeyFile"]["line"], 1)
        self.assertEqual(found["Server.Addresses"]["value"], ["127.0.0.1:10443"])
        ran = run("config", "-c", self.write("gnetway.yaml", older))
        self.assertIn("without effect: Server.SendBuf", ran.out)
        self.assertIn("the layout before Gnetway, is taken", ran.out)

    def test_a_file_with_faults(self) -> None:
        ran = run("config", "-c", self.write("gnetway.yaml", TEXT.replace("200", "x")))
        self.assertEqual((ran.status, ran.out), (1, ""))
        self.assertIn("gnetway.yaml:11: Gnetway.Limits.IdleSeconds: found 'x'", ran.err)

    def test_the_shipped_files(self) -> None:
        shutil.copy(self.directory / "key.pem", self.directory / "server_pkcs1.key")
        for file in SHIPPED:
            found = self.settings(file.read_text())
            self.assertGreater(len(found), 80)
            for setting in found.values():
                self.assertTrue(setting["source"] == "file" or setting["reason"], setting)


def faults(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Yield where a value does not fit, of those words of JSON Schema that ours uses.

    A schema with others fails.
    """
    types: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "null": (type(None),),
    }
    checked = {
        "type": lambda names: any(
            isinstance(value, types[name]) and (type(value) is not bool or name == "boolean")
            for name in ([names] if isinstance(names, str) else names)
        ),
        "enum": lambda allowed: any(value == one and type(value) is type(one) for one in allowed),
        "const": lambda only: value == only,
        "pattern": lambda pattern: not isinstance(value, str) or re.search(pattern, value),
        "minLength": lambda least: not isinstance(value, str) or len(value) >= least,
        "minItems": lambda least: not isinstance(value, list) or len(value) >= least,
        "minimum": lambda least: not isinstance(value, int) or value >= least,
        "maximum": lambda most: not isinstance(value, int) or value <= most,
        "required": lambda names: not isinstance(value, dict) or set(names) <= set(value),
        "anyOf": lambda each: any(not list(faults(one, value)) for one in each),
        "allOf": lambda each: all(not list(faults(one, value)) for one in each),
    }
    for word, said in schema.items():
        if word in checked and not checked[word](said):
            yield f"{path}: {word}"
        if word not in checked and word not in _ELSEWHERE:
            raise AssertionError(f"{path}: {word} is not looked at here")
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(schema.get("items", {}), item, f"{path}[{index}]")
    if isinstance(value, dict):
        yield from _faults_of_keys(schema, value, path)


#: What is looked at in another place, or only told.
_ELSEWHERE = {
    *("$schema", "title", "description", "default", "deprecated"),
    *("items", "properties", "additionalProperties"),
    *("x-allowed", "x-unit", "x-live"),
}


def _faults_of_keys(schema: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, child in value.items():
        if name not in known and others is False:
            yield f"{path}.{name}: unknown"
        inner = known.get(name, {} if isinstance(others, bool) else others)
        yield from faults(inner, child, f"{path}.{name}")


class SchemaTests(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        self.schema = json.loads(run("config", "--schema").out)

    def refused(self, value: object) -> list[str]:
        return list(faults(self.schema, value))

    def test_files_that_are_taken(self) -> None:
        for file in (*SHIPPED, TEAMGRAM):
            self.assertEqual(self.refused(yaml.safe_load(file.read_text())), [], file)

    def test_the_shipped_files_with_their_marks_away(self) -> None:
        for file in SHIPPED:
            shown = re.sub(r"(?m)^( *)# (\w+: (?:\d+|false))$", r"\1\2", file.read_text())
            self.assertEqual(self.refused(yaml.safe_load(shown)), [])

    def test_what_the_loader_refuses(self) -> None:
        good = yaml.safe_load(TEXT)
        self.assertEqual(self.refused(good), [])
        for path, value, fault in (
            (("Gnetwey",), {}, ".Gnetwey: unknown"),
            (("Gnetway", "Limits", "IdleSecond"), 3, ".Gnetway.Limits.IdleSecond: unknown"),
            (("Gnetway", "Limits", "IdleSeconds"), 3, ".Gnetway.Limits.IdleSeconds: minimum"),
            (("Gnetway", "Limits", "IdleSeconds"), True, ".Gnetway.Limits.IdleSeconds: type"),
            (("Gnetway", "Server"), [], ".Gnetway.Server: minItems"),
            (("Gnetway", "Server"), [{"Proto": "tcp"}], ".Gnetway.Server[0]: required"),
            (("Admin", "Addresses"), ["nowhere"], ".Admin: anyOf"),
            (("Session",), {}, ".Session: anyOf"),
            (("Workers",), "many", ".Workers: anyOf"),
            (("RSAKey",), [{}], ".RSAKey[0]: required"),
        ):
            with self.subTest(path=path, value=value):
                bad = json.loads(json.dumps(good))
                place = bad
                for name in path[:-1]:
                    place = place[name]
                place[path[-1]] = value
                self.assertIn(fault, self.refused(bad))
                self.assertRaises(ConfigError, load_mapping, bad)

    def test_what_a_person_should_know(self) -> None:
        limits = self.schema["properties"]["Gnetway"]["properties"]["Limits"]["properties"]
        idle = limits["IdleSeconds"]
        self.assertEqual((idle["default"], idle["minimum"]), (300, 10))
        self.assertTrue(idle["description"].startswith("Without a byte from the client"))
        facts = "Default: 300 seconds. Allowed: a whole number of seconds from 10 to 86400."
        self.assertTrue(idle["description"].endswith(f"\n\n{facts}"))
        # A paragraph is a line, and an item of a list.
        self.assertEqual(idle["description"].count("\n"), 2)
        self.assertTrue(self.schema["properties"]["MaxProc"]["deprecated"])
