"""MemoryBudget and what follows from it."""

from gnetway.config.limits import MIB
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig, budget_bytes, memory_terms, share_out
from tests.config.cases import GOOD, REMOTE, ConfigCase

GIB = 1024 * MIB


class MemoryCase(ConfigCase):
    def loaded(self, *lines: str, text: str = GOOD) -> GatewayConfig:
        return self.load(self.with_limits(*lines, text=text))

    def load(self, text: str) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", text))

    def with_limits(self, *lines: str, text: str = GOOD) -> str:
        inner = "".join(f"    {line}\n" for line in lines)
        return text.replace("Session:", f"  Limits:\n{inner}Session:")


class BudgetTests(MemoryCase):
    def test_by_the_machine(self) -> None:
        config = self.loaded("# nothing")
        for machine, budget in (
            (0, 160 * MIB),
            (256 * MIB, 160 * MIB),
            (2 * GIB, 512 * MIB),
            (1024 * GIB, GIB),
        ):
            self.assertEqual(budget_bytes(config, machine), budget)

    def test_by_the_file(self) -> None:
        self.assertEqual(budget_bytes(self.loaded("MemoryBudget: 900"), 64 * GIB), 900 * MIB)


class ShareTests(MemoryCase):
    def test_parts_follow(self) -> None:
        config = share_out(self.loaded("MemoryBudget: 1024", text=REMOTE), 0)
        limits = config.gnetway.limits
        self.assertEqual(limits.memory_budget, 1024)
        self.assertEqual(limits.max_unfinished_bytes, 256 * MIB)
        self.assertEqual(limits.max_unsent_bytes, 256 * MIB)
        self.assertEqual(config.session.hold.max_bytes, 64 * MIB)
        self.assertEqual(config.rpc.max_input_bytes, 128 * MIB)
        embedded = share_out(self.loaded("MemoryBudget: 1024"), 0).session.embedded
        assert embedded is not None
        self.assertEqual(embedded.max_unacked_bytes, 64 * MIB)

    def test_workers_have_equal_parts(self) -> None:
        config = share_out(self.loaded("MemoryBudget: 2048", text=REMOTE), 0, 4)
        self.assertEqual(config.gnetway.limits.memory_budget, 512)
        self.assertEqual(config.gnetway.limits.max_unsent_bytes, 128 * MIB)

    def test_what_is_set_stays(self) -> None:
        config = share_out(self.loaded("MemoryBudget: 1024", "MaxUnsentBytes: 99000000"), 0, 2)
        self.assertEqual(config.gnetway.limits.max_unsent_bytes, 99_000_000)

    def test_again_changes_nothing(self) -> None:
        config = share_out(self.loaded("# nothing", text=REMOTE), 3 * GIB, 2)
        self.assertEqual(share_out(config, 64 * GIB), config)

    def test_little_memory_still_takes_the_largest_packets(self) -> None:
        limits = share_out(self.loaded("# nothing"), 0, 8).gnetway.limits
        self.assertEqual(limits.max_unfinished_bytes, 2 * limits.max_packet_bytes)
        self.assertEqual(limits.max_unsent_bytes, limits.max_send_buffer_bytes)

    def test_the_parts_fit(self) -> None:
        """Whatever the machine has, where nothing is set."""
        for machine in (GIB, 2 * GIB, 8 * GIB, 64 * GIB):
            config = share_out(self.loaded("# nothing", text=REMOTE), machine)
            together = sum(term.size for term in memory_terms(config))
            self.assertLessEqual(together, config.gnetway.limits.memory_budget * MIB)

    def test_only_a_remote_backend_has_an_outage_buffer(self) -> None:
        remote = [path for path, _ in memory_terms(self.loaded("# nothing", text=REMOTE))]
        embedded = [path for path, _ in memory_terms(self.loaded("# nothing"))]
        self.assertEqual(
            set(remote) - set(embedded), {"Session.Hold.MaxBytes", "Rpc.MaxInputBytes"}
        )
        self.assertEqual(set(embedded) - set(remote), {"Session.Embedded.MaxUnackedBytes"})


class FaultTests(MemoryCase):
    def test_parts_above_the_budget(self) -> None:
        text = self.with_limits("MemoryBudget: 256", "MaxUnsentBytes: 200000000")
        (fault,) = self.faults(text)
        self.assertEqual(
            fault,
            "8: Gnetway.Limits.MemoryBudget: found 256 MiB, less than its parts can hold together;"
            " allowed: at least 297, or smaller parts",
        )

    def test_workers_count(self) -> None:
        text = self.with_limits("MemoryBudget: 160", text=REMOTE)
        self.load(text)
        (fault,) = self.faults("Workers: 4\n" + text)
        self.assertIn("at least ", fault)

    def test_bounds(self) -> None:
        for value in ("-1", "1", "63", "2097152", "many"):
            (fault,) = self.faults(self.with_limits(f"MemoryBudget: {value}"))
            self.assertIn("allowed: 0, or a whole number of MiB from 64 to 1048576", fault)
