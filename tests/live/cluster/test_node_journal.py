"""What is found wrong in the journals of session nodes."""

from unittest import TestCase

from tests.live.cluster.node_journal import Entry, Session, Talk, What, faults

ONE: Session = (1, 11)


def heard(at: int, msg_id: int, life: int = 1, first: bool = False) -> Entry:
    return Entry(at, life, "node", What.HEARD, ONE, msg_id, first)


def closed(at: int, life: int = 1) -> Entry:
    return Entry(at, life, "node", What.CLOSED, ONE)


def talk(*unanswered: int, ended: bool = False) -> Talk:
    sent = [4, 8, 12]
    return Talk(ONE, sent, set(sent) - set(unanswered), {4}, ended)


BEGIN = heard(1, 4, first=True)
NEXT = heard(2, 8)


class FaultsTests(TestCase):
    def found(self, *entries: Entry, said: Talk | None = None, living: int = 1) -> list[str]:
        return faults(entries, [said or talk()], {living})

    def test_nothing(self) -> None:
        self.assertEqual(self.found(BEGIN, NEXT, closed(3)), [])

    def test_a_message_without_an_answer(self) -> None:
        taken = Entry(3, 1, "node", What.TAKEN, ONE, 4)
        self.assertEqual(
            self.found(BEGIN, NEXT, taken, closed(4), said=talk(4, 8)),
            [
                "message 4 of session 11 is lost (quick ack, taken)",
                "message 8 of session 11 is lost (not acknowledged)",
            ],
        )

    def test_a_client_that_was_let_go(self) -> None:
        self.assertEqual(self.found(BEGIN, closed(3), said=talk(4, 8, ended=True)), [])

    def test_another_order(self) -> None:
        wrong = [heard(1, 8, first=True), heard(2, 4), closed(3)]
        self.assertEqual(self.found(*wrong), ["message 4 of session 11 comes too late"])

    def test_again_elsewhere(self) -> None:
        """In doubt a message comes twice; the order is that of the first time."""
        again = [BEGIN, NEXT, heard(3, 4, life=2, first=True), heard(4, 8, life=2), closed(5, 2)]
        self.assertEqual(self.found(*again, living=2), [])
        thrice = [*again, heard(6, 4, life=3, first=True), closed(7, 3)]
        self.assertEqual(
            self.found(*thrice, living=3), ["message 4 of session 11 has come 3 times"]
        )

    def test_data_without_a_beginning(self) -> None:
        self.assertEqual(
            self.found(BEGIN, heard(2, 8, life=2), living=2),
            ["node hears data of session 11 without a beginning"],
        )

    def test_a_beginning_that_was_refused(self) -> None:
        refused = Entry(1, 1, "node", What.REFUSED, ONE, 4, True)
        self.assertEqual(self.found(refused, NEXT, closed(3)), [])

    def test_an_end_in_another_life(self) -> None:
        self.assertEqual(
            self.found(BEGIN, closed(3, life=2), living=2),
            ["node hears the end of session 11 of another life"],
        )

    def test_no_end(self) -> None:
        self.assertEqual(self.found(BEGIN, NEXT), ["session 11 is left open"])
        self.assertEqual(self.found(BEGIN, NEXT, living=2), [])
