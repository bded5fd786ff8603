"""Indexes of checkpoints that make no sense, under right checksums. TensorFlow's own reader aborts at some of them."""

import struct

import google_crc32c
import numpy as np
import pytest
from tensorflow.core.protobuf import tensor_bundle_pb2 as proto

from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import tf1_checkpoint

VALUES = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.int64(7), "c": np.zeros((0, 3), np.float16)}


def masked(*pieces):
    crc = google_crc32c.value(b"".join(pieces))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number):
    return bytes([number & 0x7F | 0x80]) + varint(number >> 7) if number > 0x7F else bytes([number])


def block(entries, restarts=1):
    """A block of (key, value), none of which shares its beginning with the one before; and its trailer."""
    content = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in entries)
    content += bytes(4) + struct.pack("<I", restarts)
    return content, b"\0" + struct.pack("<I", masked(content, b"\0"))


def index(entries, listed=1, size=None, restarts=1):
    """An index of one block of data, which its list of blocks names once or more often."""
    (data, trailer), place = block(entries, restarts), 0
    handle = varint(place) + varint(len(data) if size is None else size)
    blocks = block([(b"z%d" % number, handle) for number in range(listed)])
    start = len(data + trailer)
    footer = varint(0) * 2 + varint(start) + varint(len(blocks[0]))
    return data + trailer + b"".join(blocks) + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


@pytest.fixture
def make(tmp_path):
    """Write a checkpoint of VALUES; `change` may alter its messages, the other arguments are those of `index`."""

    def make(change=lambda messages: None, **arguments):
        messages, data = {"": proto.BundleHeaderProto(num_shards=1)}, b""
        for name, value in VALUES.items():
            kind = {"float32": 1, "int64": 9, "float16": 19}[value.dtype.name]
            content = value.tobytes()
            entry = proto.BundleEntryProto(dtype=kind, offset=len(data), size=len(content), crc32c=masked(content))
            for length in value.shape:
                entry.shape.dim.add(size=length)
            messages[name], data = entry, data + content
        change(messages)
        entries = [
            (key.encode(), value if isinstance(value, bytes) else value.SerializeToString())
            for key, value in messages.items()
        ]
        (tmp_path / "model-1.index").write_bytes(index(entries, **arguments))
        (tmp_path / "model-1.data-00000-of-00001").write_bytes(data)
        return tmp_path / "model-1"

    return make


def test_what_makes_sense_is_read(make):
    found = tf1_checkpoint.read_checkpoint(make())
    assert found.keys() == VALUES.keys()
    for name, value in VALUES.items():
        np.testing.assert_array_equal(found[name], value, strict=True)
        assert found[name].flags.writeable


def entry(**fields):
    def change(messages):
        for name, value in fields.items():
            setattr(messages["a"], name, value)

    return change


def dims(*sizes):
    def change(messages):
        del messages["a"].shape.dim[:]
        for size in sizes:
            messages["a"].shape.dim.add(size=size)

    return change


def renamed(name):
    return lambda messages: messages.update({name: messages.pop("a")})


@pytest.mark.parametrize(
    "change",
    [
        entry(offset=-8),
        entry(offset=2**62),
        entry(size=-24),
        entry(size=2**62),
        entry(size=20),
        entry(crc32c=1),
        entry(shard_id=1),
        entry(shard_id=-1),
        dims(-2, -3),
        dims(2**40, 2**40),
        dims(2**62),
        dims(*[1] * 100, 2, 4),
        lambda messages: messages["a"].slices.add(),
        lambda messages: setattr(messages["a"].shape, "unknown_rank", True),
        lambda messages: messages.pop(""),
        lambda messages: setattr(messages[""], "endianness", 1),
        lambda messages: setattr(messages[""], "num_shards", 2),
        lambda messages: messages.update({"d": b"\xff\xff\xff"}),
        lambda messages: messages.update({"d": messages.pop("a")}) or messages.update({"aa": messages["d"]}),
        renamed("d" * 1001),
        renamed("B"),
    ],
)
def test_entries_that_make_no_sense_are_one_line(make, change):
    with pytest.raises(
        UserError, match="model-1: not a readable TensorFlow checkpoint, or damaged: .*Remedy"
    ) as caught:
        tf1_checkpoint.read_checkpoint(make(change))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "arguments", [{"listed": 1000}, {"size": 2**60}, {"size": 3}, {"size": 0}, {"restarts": 2**31}, {"restarts": 9}]
)
def test_blocks_that_make_no_sense_are_one_line(make, arguments):
    with pytest.raises(UserError, match="not a readable TensorFlow checkpoint, or damaged: .*Remedy"):
        tf1_checkpoint.read_checkpoint(make(**arguments))


def test_a_block_that_is_listed_over_and_over_is_read_once(make):
    """An empty block of a megabyte, of which no name is out of order."""
    restarts = 1 << 18
    empty = bytes(4 * restarts) + struct.pack("<I", restarts)
    blocks = block([(b"z%06d" % number, varint(0) + varint(len(empty))) for number in range(50_000)])
    start = len(empty) + 5
    footer = (varint(0) * 2 + varint(start) + varint(len(blocks[0]))).ljust(40, b"\0")
    table = empty + b"\0" + struct.pack("<I", masked(empty, b"\0")) + b"".join(blocks) + footer
    prefix = make()
    prefix.with_name("model-1.index").write_bytes(table + struct.pack("<Q", 0xDB4775248B80FB57))
    with pytest.raises(UserError, match="a block is listed more than once"):
        tf1_checkpoint.read_checkpoint(prefix)


def test_an_index_has_no_more_than_networks_need(make):
    with pytest.raises(UserError, match="it has more than 16384 entries"):
        tf1_checkpoint.read_checkpoint(make(lambda messages: messages.update({f"d{n:07}": b"" for n in range(20_000)})))
    with pytest.raises(UserError, match="model-1.index: .* bytes are more than such a file has"):
        tf1_checkpoint.read_checkpoint(make(lambda messages: messages.update({"d": b"\x12\0" * (2 << 20)})))


def test_bytes_that_are_asked_for_over_and_over_are_refused(make):
    """A hundred variables of one megabyte each, all of them the same."""

    def change(messages):
        messages["a"].size = 1 << 20
        dims(1 << 18)(messages)
        messages |= {f"a{number:06}": messages["a"] for number in range(100)}

    with pytest.raises(UserError, match="ask for 105906176 bytes of memory"):
        tf1_checkpoint.read_checkpoint(make(lambda messages: (change(messages), messages.pop("b"), messages.pop("c"))))


def test_other_kinds_of_variables_are_left_out(make):
    assert "a" not in tf1_checkpoint.read_checkpoint(make(entry(dtype=7)))  # a text, as newer checkpoints hold one
    assert "a" not in tf1_checkpoint.read_checkpoint(make(entry(dtype=20)))


def test_altered_indexes_end_in_a_line_or_in_arrays(make):
    """Any byte of the messages altered, the checksums right."""
    rng = np.random.default_rng(0)

    def change(messages):
        for name, message in messages.items():
            content = bytearray(message.SerializeToString())
            if content and rng.random() < 0.5:
                content[rng.integers(len(content))] = rng.integers(256)
            messages[name] = bytes(content)

    read = 0
    for _ in range(300):
        prefix = make(change)
        try:
            found = tf1_checkpoint.read_checkpoint(prefix)
        except UserError:
            pass
        else:
            read += 1
            assert all(isinstance(value, np.ndarray) for value in found.values())
    assert 0 < read < 300
