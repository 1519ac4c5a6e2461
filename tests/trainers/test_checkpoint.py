import json
import os
import pickle
import resource

import pytest
import torch

from trainers.checkpoint import (
    load_into,
    load_network,
    load_state,
    save_state,
    save_weights,
    weights_file,
)
from trainers.errors import TrainerError
from trainers.models import build
from trainers.options import Options
from trainers.weights import read_metadata, read_weights


def small(width=4):
    torch.manual_seed(0)
    return build("cnn-7-5-3", 1, width=width)


def saved(folder, network=None, name="best.safetensors", **said):
    save_weights(folder / name, network or small(), **{"arguments": json.dumps({"width": 4}), **said})
    return folder / name


class Harm:
    """What a stranger's file may hold: unpickling it would run something."""

    def __reduce__(self):
        return os.abort, ()


def test_weights_come_back(tmp_path):
    network = small()
    path = saved(tmp_path, network)
    weights = read_weights(path)
    assert weights.keys() == network.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert read_metadata(path)["kind"] == "cnn-7-5-3"
    assert [file.name for file in tmp_path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_of_pytorch(tmp_path, wrapped):
    state = small().state_dict()
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == state.keys()
    load_into(small(), tmp_path / "w.pth")


def test_network_of_a_run_and_of_a_file(tmp_path):
    options = Options(pairs="p.h5", model="cnn-7-5-3", model_args={"width": 4}, lr=3e-4)
    path = saved(tmp_path, options=options.to_yaml())
    saved(tmp_path, build("cnn-7-5-3", 1, width=4), "last.safetensors")
    for run in (tmp_path, path):
        network, read = load_network(run)
        assert read == options
        assert not network.training
        assert torch.equal(network.state_dict()["body.0.weight"], small().state_dict()["body.0.weight"])


def test_network_without_best_weights_is_the_last(tmp_path):
    saved(tmp_path, name="last.safetensors")
    assert weights_file(tmp_path).name == "last.safetensors"
    assert load_network(tmp_path)[0].kind == "cnn-7-5-3"


def test_network_of_pytorchs_file_needs_a_run(tmp_path):
    torch.save(small().state_dict(), tmp_path / "w.pt")
    with pytest.raises(TrainerError, match="does not say what network"):
        load_network(tmp_path / "w.pt")
    options = Options(pairs="p.h5", model="cnn-7-5-3", model_args={"width": 4})
    (tmp_path / "options.yaml").write_text(options.to_yaml())
    with pytest.raises(TrainerError, match="how many channels"):
        load_network(tmp_path / "w.pt")
    (tmp_path / "data.json").write_text(json.dumps({"shape": [28, 28, 1]}))
    assert load_network(tmp_path / "w.pt")[1] == options


# ---- what does not fit ----


def test_another_network_is_named(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(TrainerError, match="weights of network 'cnn-7-5-3', not of 'srcnn-9-1-5'"):
        load_into(build("srcnn-9-1-5", 1), path)


def test_another_shape_is_named(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(TrainerError, match=r"body\.0\.weight is 4×1×7×7 in the file, 6×1×7×7 in the network"):
        load_into(small(6), path)


def test_other_names_are_named(tmp_path):
    torch.save({"a.weight": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(
        TrainerError, match=r"does not fit network 'cnn-7-5-3': it holds the unknown a\.weight"
    ):
        load_into(small(), tmp_path / "w.pt")


def test_whole_numbers_are_no_weights(tmp_path):
    weights = {name: value.to(torch.int32) for name, value in small().state_dict().items()}
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(TrainerError, match=r"does not fit network 'cnn-7-5-3': .* is torch\.int32"):
        load_into(small(), tmp_path / "w.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path, value):
    network = small()
    with torch.no_grad():
        network.body[3].bias[1] = value
    path = saved(tmp_path, network)
    with pytest.raises(TrainerError, match=r"body\.3\.bias holds values that are not finite"):
        load_network(path)


def test_missing_files(tmp_path):
    with pytest.raises(TrainerError, match="there is no file"):
        read_weights(tmp_path / "w.safetensors")
    with pytest.raises(TrainerError, match="there is no run"):
        load_network(tmp_path / "run")
    with pytest.raises(TrainerError, match=r"is no run: it holds neither best\.safetensors nor last"):
        load_network(tmp_path)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x00" * 100, b"PK\x03\x04" + b"\x00" * 60])
def test_damaged_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainerError, match=r"cannot be read|is refused"):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("cut", [1, 9, 400])
def test_truncated_files(tmp_path, cut):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(TrainerError, match="cannot be read as safetensors"):
        read_weights(path)


def test_damaged_metadata(tmp_path):
    path = saved(tmp_path, arguments="[")
    with pytest.raises(TrainerError, match="what it says of its network is damaged"):
        load_network(path)
    path = saved(tmp_path, channels="-1")
    with pytest.raises(TrainerError, match="what it says of its network is damaged"):
        load_network(path)


# ---- strangers ----


@pytest.mark.parametrize("load", [read_weights, load_state, lambda path: load_into(small(), path)])
def test_nothing_is_unpickled(tmp_path, load):
    torch.save({"step": 1, "network": {}, "optimizer": Harm()}, tmp_path / "w.pt")
    with pytest.raises(TrainerError, match="is refused"):
        load(tmp_path / "w.pt")
    with (tmp_path / "w.pt").open("wb") as file:
        pickle.dump(Harm(), file)
    with pytest.raises(TrainerError, match=r"is refused|cannot be read"):
        load(tmp_path / "w.pt")


def test_a_file_of_other_things(tmp_path):
    torch.save({"a": 1}, tmp_path / "w.pt")
    with pytest.raises(TrainerError, match="holds no weights"):
        read_weights(tmp_path / "w.pt")
    with pytest.raises(TrainerError, match="is no state of a training"):
        load_state(tmp_path / "w.pt")


def test_state_comes_back(tmp_path):
    network = small()
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.rand(1, 1, 8, 8)).mean().backward()
    optimizer.step()
    save_state(
        tmp_path / "s.pt", step=3, network=network.state_dict(), optimizer=optimizer.state_dict(), best=-1.5
    )
    state = load_state(tmp_path / "s.pt")
    assert (state["step"], state["best"]) == (3, -1.5)
    other = torch.optim.AdamW(small().parameters())
    other.load_state_dict(state["optimizer"])
    assert torch.equal(
        other.state_dict()["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"]
    )


@pytest.mark.parametrize("writes", [save_state, lambda path, **_: saved(path.parent, small(32), path.name)])
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path, writes):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # what a full disk does, by another number
    try:
        with pytest.raises(TrainerError, match=r"file' cannot be written: File too large"):
            writes(path, step=1, network={"a": torch.zeros(10_000)}, optimizer={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    save_state(tmp_path / "s.pt", step=1, network={}, optimizer={})
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        save_state(tmp_path / "s.pt", step=2, network={}, optimizer=lambda: None)
    assert load_state(tmp_path / "s.pt")["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["s.pt"]
