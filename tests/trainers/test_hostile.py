"""Weights, states and runs that strangers wrote."""

import io
import json
import pickle
import struct
import zipfile

import pytest
import torch
from memory import peak_of
from safetensors.torch import save

from trainers.checkpoint import load_network, load_state, read_weights, save_weights
from trainers.errors import TrainerError
from trainers.models import build
from trainers.options import Options
from trainers.runs import read_data


def refused(call, message):
    def check():
        with pytest.raises(TrainerError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)

    assert peak_of(check) < 1 << 22


def torch_file(path, replaced, **options):
    """A file as torch.save writes it, but for one member and its compression."""
    file = io.BytesIO()
    torch.save({"step": 1, "network": {"a": torch.zeros(4)}, "optimizer": {}}, file)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w", **options) as new:
        for member in old.namelist():
            new.writestr(member, replaced.get(member.rpartition("/")[2], old.read(member)))


def test_the_hand_made_file_is_read(tmp_path):
    torch_file(tmp_path / "s.pt", {})
    assert load_state(tmp_path / "s.pt")["step"] == 1


def test_compressed_files(tmp_path):
    torch_file(tmp_path / "s.pt", {"0": bytes(1 << 26)}, compression=zipfile.ZIP_DEFLATED)
    refused(lambda: load_state(tmp_path / "s.pt"), "is refused: it is compressed")


def pickled(*lines):
    return b"\x80\x02" + b"".join(lines) + b"."


BYTES = b"c__builtin__\nbytearray\n(I1099511627776\ntR"
STORAGE = b"ctorch\nFloatStorage\n(I1099511627776\ntR"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("__builtin__ bytearray", BYTES),
        ("collections Counter", b"ccollections\nCounter\n(tR"),
        ("torch Tensor", b"ctorch\nTensor\n(I1099511627776\ntR"),
        ("os system", b"cos\nsystem\n(Vtrue\ntR"),
        ("torch.hub load", b"ctorch.hub\nload\n(tR"),
        ("torch load", b"ctorch\nload\n(tR"),
    ],
)
@pytest.mark.parametrize("archive", [True, False])
def test_names_that_weights_do_not_need(tmp_path, name, content, archive):
    path = tmp_path / "s.pt"
    if archive:
        torch_file(path, {"data.pkl": pickled(content)})
    else:
        path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickled(content))
    refused(lambda: load_state(path), f"is refused: it names {name}")


def test_storages_that_are_called(tmp_path):
    torch_file(tmp_path / "s.pt", {"data.pkl": pickled(STORAGE)})
    refused(lambda: load_state(tmp_path / "s.pt"), r"s\.pt")


def test_tensors_that_repeat_one_number(tmp_path):
    state = {"step": 1, "network": {"a": torch.zeros(1).expand(1 << 40)}, "optimizer": {}}
    torch.save(state, tmp_path / "s.pt")
    refused(
        lambda: load_state(tmp_path / "s.pt"), "a tensor of 1099511627776 numbers has not as many in the file"
    )
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "w.pt")
    refused(lambda: read_weights(tmp_path / "w.pt"), "has not as many in the file")


@pytest.mark.parametrize(
    "make", [lambda: torch.eye(3).to_sparse(), lambda: torch.zeros(1 << 40, device="meta")]
)
@pytest.mark.filterwarnings("ignore:.*Sparse")
def test_tensors_of_other_layouts(tmp_path, make):
    torch.save({"a": make()}, tmp_path / "w.pt")
    refused(lambda: read_weights(tmp_path / "w.pt"), "is refused: it names torch")


def test_nests_of_shared_lists(tmp_path):
    shared = [1]
    for _ in range(100):
        shared = [shared, shared]
    torch.save({"step": 1, "network": shared, "optimizer": {}}, tmp_path / "s.pt")
    assert load_state(tmp_path / "s.pt")["step"] == 1


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 1 << 31) + b"{}",
        struct.pack("<Q", 90_000) + b"[" * 90_000,
        struct.pack("<Q", 0),
        b"",
    ],
    ids=["endless header", "long header", "deep header", "no header", "nothing"],
)
def test_safetensors_headers(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    refused(lambda: read_weights(tmp_path / "w.safetensors"), "cannot be read as safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]},
        {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "OBJ", "shape": [2], "data_offsets": [0, 8]},
    ],
)
def test_safetensors_offsets(tmp_path, entry):
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    refused(lambda: read_weights(tmp_path / "w.safetensors"), "cannot be read as safetensors")


def saying(tmp_path, **said):
    network = build("cnn-7-5-3", 1, width=4)
    save_weights(tmp_path / "w.safetensors", network, **said)
    return tmp_path / "w.safetensors"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 10**9}, "width 1000000000: a whole number, 1 … 4096, is needed"),
        ({"width": 4096}, r"is 4×1×7×7 in the file, 4096×1×7×7 in the network"),
        ({"width": 2**70}, "is needed"),
        ({"width": [1]}, "is needed"),
        ({"depth": 3}, "no argument 'depth'"),
    ],
)
def test_networks_that_no_memory_holds(tmp_path, arguments, message):
    path = saying(tmp_path, arguments=json.dumps(arguments))
    refused(lambda: load_network(path), message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"middle": 10**9}, "1000000000 blocks: a whole number, 0 … 256, is needed"),
        ({"encoder": [10**9], "decoder": [1]}, "1000000000 blocks"),
        ({"encoder": [1] * 1000, "decoder": [1] * 1000}, "encoder has 1000 levels; 8 are the most"),
        ({"encoder": "ab", "decoder": "ab"}, "encoder 'ab': a list of whole numbers"),
        ({"encoder": 5}, "network 'nafnet'"),
    ],
)
def test_networks_of_endless_blocks(arguments, message):
    with pytest.raises(TrainerError, match=message):
        build("nafnet", 3, **arguments)


@pytest.mark.parametrize("said", [{"channels": "1000000000"}, {"channels": "-1"}, {"arguments": "[" * 5000}])
def test_what_weights_say_of_their_network(tmp_path, said):
    network = build("cnn-7-5-3", 1, width=4)
    path = tmp_path / "w.safetensors"
    metadata = {"kind": "cnn-7-5-3", "channels": "1", "arguments": "{}", **said}
    path.write_bytes(save(dict(network.state_dict()), metadata))
    refused(lambda: load_network(path), "what it says of its network is damaged")


def test_options_that_are_no_plain_values(tmp_path):
    path = saying(tmp_path, options="pairs: !!python/object/apply:os.abort []")
    refused(lambda: load_network(path), "no YAML: could not determine a constructor")
    (tmp_path / "options.yaml").write_bytes(b"#" * 200_000)
    with pytest.raises(TrainerError, match="longer than 131072"):
        Options.read(tmp_path / "options.yaml")


@pytest.mark.parametrize("text", ["[" * 90_000, '{"a":' * 9000, "[]", "3", " " * 200_000])
def test_data_of_a_run(tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    refused(lambda: read_data(tmp_path), r"data\.json' cannot be read")
