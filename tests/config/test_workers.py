import pickle

from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from tests.config.cases import GOOD, REMOTE, ConfigCase
from tests.config.test_pem_files import pair


class WorkersTests(ConfigCase):
    def loaded(self, text: str, head: str = "", gnetway: str = "") -> GatewayConfig:
        text = text.replace("Gnetway:\n", f"Gnetway:\n  {gnetway}\n" if gnetway else "Gnetway:\n")
        return load_file(self.write("gnetway.yaml", f"{head}\n{text}"))

    def test_one_by_default(self) -> None:
        for text in (GOOD, REMOTE):
            self.assertEqual(self.loaded(text).worker_count(8), 1)
            self.assertEqual(self.loaded(text, gnetway="Multicore: false").worker_count(8), 1)

    def test_a_number(self) -> None:
        self.assertEqual(self.loaded(REMOTE, "Workers: 3").worker_count(8), 3)

    def test_one_a_processor(self) -> None:
        self.assertEqual(self.loaded(REMOTE, "Workers: auto").worker_count(8), 8)
        self.assertEqual(self.loaded(REMOTE, gnetway="Multicore: true").worker_count(8), 8)

    def test_workers_go_before_multicore(self) -> None:
        config = self.loaded(REMOTE, "Workers: 3", "Multicore: true")
        self.assertEqual(config.worker_count(8), 3)
        self.assertEqual(config.unused, ("Gnetway.Multicore",))
        config = self.loaded(REMOTE, "Workers: 3", "Multicore: false")
        self.assertEqual((config.worker_count(8), config.unused), (3, ()))

    def test_the_embedded_backend_is_one_process(self) -> None:
        for head, gnetway in (("Workers: 1", ""), ("Workers: auto", ""), ("", "Multicore: true")):
            self.assertEqual(self.loaded(GOOD, head, gnetway).worker_count(8), 1)
        (fault,) = self.faults(f"Workers: 2\n{GOOD}")
        self.assertIn(
            "1: Workers: found 2 beside Session.Embedded, which lives in one process;"
            " allowed: 1 or auto; several with Session.Etcd or Session.Endpoints",
            fault,
        )

    def test_what_is_no_number_of_processes(self) -> None:
        for value in ("0", "257", "-1", "true", "two", "1.5"):
            (fault,) = self.faults(f"Workers: {value}\n{REMOTE}")
            self.assertIn("allowed: a whole number of processes from 1 to 256, or auto", fault)

    def test_a_loaded_configuration_is_handed_over(self) -> None:
        """With its keys and certificates, which a worker may not be allowed to read itself."""
        for name, content in zip(("cert.pem", "cert.key"), pair(), strict=False):
            self.write(name, content)
        tls = "{CertFile: cert.pem, KeyFile: cert.key, CAFile: cert.pem}"
        config = self.loaded(REMOTE, f"Rpc: {{TLS: {tls}}}\nName: x\nWorkers: 3")
        (self.directory / "key.pem").unlink()
        copy = pickle.loads(pickle.dumps(config))
        self.assertEqual(
            (copy.session, copy.rpc, copy.gnetway), (config.session, config.rpc, config.gnetway)
        )
        key, same = config.rsa_keys[0], copy.rsa_keys[0]
        self.assertEqual((same.path, same.key.fingerprint), (key.path, key.key.fingerprint))
        self.assertEqual(copy.fault("Workers", "a", "b"), config.fault("Workers", "a", "b"))
