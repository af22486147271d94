"""Stepping over initConnection's fields, however its JSON is built."""

from struct import pack

from hypothesis import given
from hypothesis.strategies import (
    SearchStrategy,
    binary,
    booleans,
    builds,
    floats,
    lists,
    none,
    recursive,
    sampled_from,
    tuples,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError
from gnetway.tl.primitives import (
    Constructor,
    NestedTooDeep,
    Reader,
    pack_int32,
    pack_string,
    pack_uint32,
)
from gnetway.tl.unwrap import (
    TooManyValues,
    UnwrapBudget,
    UnwrapLimits,
    read_init_connection,
    skip_json,
)
from tests.tl.samples import accepted_cuts, known, refuses

CALL = known("help.getConfig")
NULL = pack_uint32(Constructor.JSON_NULL)
FORMS = ("", " with proxy", " with params", " with both")


def skipped(data: bytes, max_depth: int = 16) -> bytes:
    """What is left of ``data``, which begins with the constructor, behind the fields."""
    reader = Reader(data, position=4)
    read_init_connection(reader, UnwrapBudget(UnwrapLimits(max_depth=max_depth)))
    return data[reader.position :]


def json_end(data: bytes, max_depth: int = 16, max_values: int = 2048) -> int:
    reader = Reader(data)
    skip_json(reader, UnwrapBudget(UnwrapLimits(max_depth=max_depth, max_values=max_values)))
    return reader.position


def array(members: list[bytes]) -> bytes:
    head = pack_uint32(Constructor.JSON_ARRAY) + pack_uint32(Constructor.VECTOR)
    return head + pack_int32(len(members)) + b"".join(members)


def json_object(members: list[tuple[bytes, bytes]]) -> bytes:
    head = pack_uint32(Constructor.JSON_OBJECT) + pack_uint32(Constructor.VECTOR)
    name = pack_uint32(Constructor.JSON_OBJECT_VALUE)
    packed = [name + pack_string(key) + value for key, value in members]
    return head + pack_int32(len(members)) + b"".join(packed)


def boolean(value: bool) -> bytes:
    chosen = Constructor.BOOL_TRUE if value else Constructor.BOOL_FALSE
    return pack_uint32(Constructor.JSON_BOOL) + pack_uint32(chosen)


def jsons() -> SearchStrategy[bytes]:
    """Packed JSON values."""
    keys = binary(max_size=20)
    return recursive(
        none().map(lambda _: NULL)
        | booleans().map(boolean)
        | floats().map(lambda value: pack_uint32(Constructor.JSON_NUMBER) + pack("<d", value))
        | keys.map(lambda text: pack_uint32(Constructor.JSON_STRING) + pack_string(text)),
        lambda inner: (
            builds(array, lists(inner, max_size=3))
            | builds(json_object, lists(tuples(keys, inner), max_size=3))
        ),
        max_leaves=12,
    )


def nested(depth: int) -> bytes:
    """``depth`` arrays in one another."""
    head = pack_uint32(Constructor.JSON_ARRAY) + pack_uint32(Constructor.VECTOR) + pack_int32(1)
    return head * depth + NULL


class InitConnectionTests(SynchronousTestCase):
    def test_known_bytes(self) -> None:
        """With and without the two optional fields."""
        for form in FORMS:
            self.assertEqual(skipped(known(f"initConnection{form}")), CALL, form)

    def test_cut_short(self) -> None:
        """Whatever field is cut, it is noticed."""
        for form in FORMS:
            whole = known(f"initConnection{form}")[: -len(CALL)]
            self.assertEqual(accepted_cuts(skipped, whole), [], form)

    def test_unknown_flags(self) -> None:
        """The constructor fixes the fields: other flags announce none."""
        data = bytearray(known("initConnection"))
        data[5:8] = b"\xff\xff\xff"
        self.assertEqual(skipped(bytes(data)), CALL)

    def test_wrong_proxy(self) -> None:
        """Its constructor is checked, or a shifted layout would pass."""
        data = known("initConnection with proxy")
        proxy = pack_uint32(Constructor.INPUT_CLIENT_PROXY)
        self.assertRaises(TLError, skipped, data.replace(proxy, NULL))

    def test_depth_reaches_the_params(self) -> None:
        """The JSON of the known object has two levels."""
        data = known("initConnection with params")
        self.assertEqual(skipped(data, max_depth=3), CALL)
        self.assertRaises(NestedTooDeep, skipped, data, 2)


class JsonTests(SynchronousTestCase):
    def test_known_bytes(self) -> None:
        """All kinds of values."""
        data = known("json")
        self.assertEqual(json_end(data + b"next"), len(data))

    @given(value=jsons(), tail=binary(max_size=8))
    def test_exact_end(self, value: bytes, tail: bytes) -> None:
        """The end of a value is found, and nothing less is one."""
        self.assertEqual(json_end(value + tail), len(value))
        self.assertEqual(accepted_cuts(json_end, value), [])

    def test_depth(self) -> None:
        """As many levels as allowed, and not one more."""
        for depth in (0, 1, 16):
            data = nested(depth)
            self.assertEqual(json_end(data, max_depth=depth), len(data))
            self.assertRaises(NestedTooDeep, json_end, nested(depth + 1), depth)

    def test_depth_counts_levels_not_members(self) -> None:
        """Neighbours do not add up."""
        data = array([array([NULL])] * 50 + [json_object([(b"k", array([]))])])
        self.assertEqual(json_end(data, max_depth=3), len(data))
        self.assertRaises(NestedTooDeep, json_end, data, 2)

    def test_depth_never_reaches_the_stack(self) -> None:
        """A million levels are refused at the bound; even unbounded they would not recurse."""
        self.assertRaises(NestedTooDeep, json_end, nested(1_000_000))
        data = nested(20_000)
        self.assertEqual(json_end(data, 20_000, max_values=20_001), len(data))

    def test_too_many_members(self) -> None:
        """A wide value is bounded as well."""
        data = array([NULL] * 2047)
        self.assertEqual(json_end(data), len(data))
        self.assertRaises(TooManyValues, json_end, array([NULL] * 2048))

    def test_too_many_values_in_all(self) -> None:
        """However they are spread over arrays and objects."""
        wide = json_object([(b"k", array([NULL] * 9))] * 5)
        data = array([wide] * 3)
        self.assertEqual(json_end(data, max_values=1 + 3 * 51), len(data))
        self.assertRaises(TooManyValues, json_end, data, 16, 3 * 51)

    def test_members_that_are_not_there(self) -> None:
        """A count is compared with what is left."""
        self.assertRaises(TLError, json_end, array([NULL] * 3)[:-4])

    def test_other_constructors(self) -> None:
        """Neither a Bool nor a value nor a member may be anything else."""
        bad_bool = pack_uint32(Constructor.JSON_BOOL) + NULL
        bare_member = json_object([(b"k", NULL)]).replace(
            pack_uint32(Constructor.JSON_OBJECT_VALUE), NULL
        )
        for data in (bad_bool, bare_member, pack_uint32(Constructor.PING) + bytes(40)):
            self.assertRaises(TLError, json_end, data)

    @given(
        kind=sampled_from([member for member in Constructor if member.name.startswith("JSON")]),
        rest=binary(max_size=60),
    )
    def test_only_tl_error(self, kind: Constructor, rest: bytes) -> None:
        """Behind a value's constructor anything may come."""
        data = pack_uint32(kind) + rest
        if not refuses(json_end, data):
            self.assertLessEqual(json_end(data), len(data))
