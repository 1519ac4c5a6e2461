import os
import socket
import subprocess
import sys

import pytest
import torch

from trainers.checkpoint import load_network, load_state
from trainers.distributed import World, asked_world
from trainers.fit import fit
from trainers.weights import read_weights

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("this PyTorch has no Gloo", allow_module_level=True)

OPTIONS = ["--model-args", "width=8", "--model-args", "dropout=0", "--device", "cpu", "--batch-size", "12"]


def processes(count, *arguments):
    """Run ``trainers.fit`` as torchrun does, on one machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={count}",
        f"--master-port={port}",
    ]
    return subprocess.run(
        [*command, "--master-addr=127.0.0.1", "-m", "trainers.fit", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=300,
    )


def near(one, other, tolerance=2e-4):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=tolerance, atol=tolerance)


def test_two_processes_do_what_one_does(digits, tmp_path):
    """The same batches in all, and the same weights to rounding; also where they stop and go on."""
    options = ["--optimizer", "sgd", "--lr", "0.05", "--augment", *OPTIONS]
    done = processes(2, digits, "--run-folder", tmp_path / "two", "--epochs", 2, *options)
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stdout
    assert done.stdout.count("epoch 1/2") == 1
    one = fit(
        digits,
        run=tmp_path / "one",
        epochs=2,
        optimizer="sgd",
        lr=0.05,
        augment=True,
        model_args={"width": 8, "dropout": 0},
        batch_size=12,
        device="cpu",
        quiet=True,
    )
    two = tmp_path / "two"
    near(read_weights(two / "last.safetensors"), read_weights(one / "last.safetensors"))
    states = [load_state(run / "state.pt") for run in (one, two)]
    assert states[0]["best_psnr"] == pytest.approx(states[1]["best_psnr"], abs=1e-3)
    first, second = ((run / "metrics.csv").read_text().splitlines()[-1].split(",") for run in (one, two))
    assert first[:2] == second[:2]
    for mine, theirs in zip(first[2:7], second[2:7], strict=True):
        assert float(mine) == pytest.approx(float(theirs), rel=1e-3)

    # going on, as one process may where two began
    done = processes(2, "--run-folder", two, "--resume", "--epochs", 3)
    assert done.returncode == 0, done.stderr
    fit(run=one, resume=True, epochs=3, quiet=True)
    near(read_weights(two / "last.safetensors"), read_weights(one / "last.safetensors"))
    assert load_network(two)[0].kind == "cnn-7-5-3"


def test_an_error_is_said(digits, tmp_path):
    done = processes(2, digits, "--run-folder", tmp_path / "run", *OPTIONS[:-1], "13")
    assert done.returncode != 0
    assert "fit: batch size 13 cannot be shared equally by 2 processes" in done.stderr


def test_a_world_of_one(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    world = asked_world()
    assert world == World()
    assert world.leads
    assert world.sum(torch.ones(2)).tolist() == [1, 1]
    assert world.told("it") == "it"
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert asked_world() == World(3, 4, 1)
    assert not asked_world().leads
