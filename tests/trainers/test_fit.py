import contextlib
import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import blurgen
from trainers import fit as module
from trainers import runs
from trainers.assembly import chosen_device, completed, resolved
from trainers.checkpoint import load_network, load_state, save_weights
from trainers.console import StopError, key_values
from trainers.errors import TrainerError
from trainers.fit import fit, main
from trainers.loop import State, judge, padded, schedule
from trainers.losses import mse
from trainers.metrics import psnr
from trainers.models import MODELS, Network, build, register
from trainers.options import Options
from trainers.presets import PRESETS
from trainers.pretrain import layerwise
from trainers.rows import open_data
from trainers.weights import read_weights

CPU = torch.device("cpu")
SMALL = {
    "model": "cnn-7-5-3",
    "model_args": {"width": 8},
    "device": "cpu",
    "quiet": True,
    "batch_size": 8,
    "loss": "mse",
}


def trained(pairs, run, **options):
    return fit(pairs, run=run, **{**SMALL, **options})


def weights(run, name="last"):
    return read_weights(run / f"{name}.safetensors")


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def rows(run):
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


# ---- what a run is ----


@pytest.fixture(scope="module")
def run(digits, folder):
    torch.set_num_threads(1)
    return trained(digits, folder / "run", epochs=3, samples_every=2)


def test_run_folder(run, digits):
    names = sorted(path.name for path in run.iterdir())
    assert [name for name in names if not name.startswith("events.")] == [
        "best.safetensors",
        "data.json",
        "last.safetensors",
        "loss.png",
        "metrics.csv",
        "options.yaml",
        "psnr.png",
        "samples",
        "state.pt",
    ]
    assert len(names) == 10
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        f"epoch-{n:03}.png" for n in (1, 2, 3)
    ]
    data = json.loads((run / "data.json").read_text())
    assert data["pairs"] == str(digits)
    assert data["recipe"] == blurgen.load_recipe("mnist-motion").to_dict()
    assert data["dataset_sha256"] == blurgen.open_pairs(digits).header.dataset_sha256
    options = Options.read(run / "options.yaml")
    assert (options.model, options.epochs, options.batch_size) == ("cnn-7-5-3", 3, 8)
    for name in ("loss.png", "psnr.png", "samples/epoch-003.png"):
        with Image.open(run / name) as image:
            image.load()


def test_metrics(run, digits):
    table = rows(run)
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert [row["step"] for row in table] == ["9", "18", "27"]  # 78 pairs to train with, eight at a time
    nothing = json.loads((run / "data.json").read_text())["nothing"]["psnr"]
    pairs = blurgen.open_pairs(digits)
    held_out = slice(78, 96)
    sharp, blurred = (
        torch.from_numpy(np.array(part[held_out])) / 255 for part in (pairs.sharp, pairs.blurred)
    )
    assert nothing == pytest.approx(psnr(blurred, sharp).mean().item(), abs=1e-4)
    network, _ = load_network(run)
    with torch.no_grad():
        restored = network.restore(blurred.permute(0, 3, 1, 2))
    best = max(table, key=lambda row: float(row["psnr"]))
    assert float(best["psnr"]) == pytest.approx(
        psnr(restored, sharp.permute(0, 3, 1, 2)).mean().item(), abs=1e-3
    )
    assert float(best["gain"]) == pytest.approx(float(best["psnr"]) - nothing, abs=1e-3)
    assert float(best["val_loss"]) == pytest.approx(mse(restored, sharp.permute(0, 3, 1, 2)).item(), rel=1e-3)


def test_events(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run)).Reload()
    assert {"loss", "val_loss", "psnr", "ssim", "gain"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("psnr")] == [9, 18, 27]


def test_what_is_printed(digits, tmp_path, capsys):
    assert trained(digits, tmp_path / "run", epochs=1, quiet=False) == tmp_path / "run"
    out = capsys.readouterr().out
    assert "network 'cnn-7-5-3': 2,081 parameters; device: CPU, fp32" in out
    assert "pairs of 28×28×1: 78 to train with, 18 held out; kept in memory" in out
    assert re.search(r"doing nothing: PSNR \d\d\.\d\d dB, SSIM 0\.\d{4}", out)
    assert re.search(
        r"epoch 1/1  loss [\d.e-]+  held out [\d.e-]+  PSNR [\d.]+ dB  SSIM [-\d.]+  gain [-+][\d.]+ dB  "
        r"[\d,]+ images/s  data wait [\d.]+ %",
        out,
    )
    assert re.search(r"best: PSNR [\d.]+ dB in epoch 1, [-+][\d.]+ dB over doing nothing; in ", out)


def test_dry_run_writes_nothing(digits, tmp_path, capsys):
    trained(digits, tmp_path / "run", dry_run=True, quiet=False)
    assert "9 to an epoch" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_default_names(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("cnn-7-5-3-digits", "cnn-7-5-3-digits-2"):
        assert trained(digits, None, steps=1).name == name


# ---- training works ----


def test_it_beats_doing_nothing(digits, tmp_path):
    path = trained(digits, tmp_path / "run", steps=150, model_args={"width": 16}, lr=3e-3, epoch_steps=50)
    assert float(rows(path)[-1]["gain"]) > 2


def test_eight_pairs_are_learnt_by_heart(digits, folder, tmp_path):
    eight = blurgen.make("digits", folder / "eight.h5", "mnist-motion", count=8, seed=3, threads=1)
    arguments = {"width": 16, "dropout": 0.0}
    path = trained(
        eight,
        tmp_path / "run",
        val=eight,
        steps=300,
        epoch_steps=100,
        model_args=arguments,
        lr=4e-3,
        loss="psnr",
    )
    assert float(rows(path)[-1]["gain"]) > 8


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_steps_are_pytorchs(digits, tmp_path, optimizer):
    """The loop written once more, as plain as can be."""
    path = trained(
        digits,
        tmp_path / "run",
        steps=4,
        optimizer=optimizer,
        schedule="staircase",
        schedule_args={"factor": 0.5, "every": 2},
        model_args={"width": 4, "dropout": 0.0},
        lr=0.01,
        clip=0.05,
    )
    from trainers.data import Feeder

    data = open_data(Options(pairs=str(digits)))
    feeder = Feeder(data.train.rows, data.train.index, batch_size=8, device=CPU)
    torch.manual_seed(0)
    network = build("cnn-7-5-3", 1, width=4, dropout=0.0)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    plain = kinds[optimizer](network.parameters(), lr=0.01)
    for number, (blurred, sharp) in enumerate(feeder.batches(0, 4)):
        if number == 2:
            plain.param_groups[0]["lr"] = 0.005
        plain.zero_grad()
        torch.nn.functional.mse_loss(network(blurred.contiguous()), sharp.contiguous()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.05)
        plain.step()
    for name, value in weights(path).items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_bf16_is_near(digits, tmp_path):
    one = trained(digits, tmp_path / "one", steps=5)
    other = trained(digits, tmp_path / "other", steps=5, precision="bf16")
    for name, value in weights(one).items():
        assert weights(other)[name].dtype == torch.float32
        torch.testing.assert_close(weights(other)[name], value, rtol=0.05, atol=0.01)


def test_networks_of_a_stride_train_on_any_size(colours, tmp_path):
    arguments = {"width": 4, "encoder": [1, 1, 1, 1], "decoder": [1, 1, 1, 1]}  # multiples of 16; 40×56
    path = trained(colours, tmp_path / "run", steps=2, model="nafnet", model_args=arguments, loss="psnr")
    assert load_network(path)[0].stride == 16
    path = trained(
        colours, tmp_path / "cropped", steps=2, model="nafnet", model_args=arguments, crop=24, augment=True
    )
    assert len(rows(path)) == 1


def test_padding_is_that_of_restore():
    network = build("nafnet", 1, width=4)
    images = torch.rand(2, 1, 19, 21)
    with torch.no_grad():
        torch.testing.assert_close(
            padded(network, images, network.stride).clamp(0, 1), network.restore(images)
        )


def test_fully_online(tmp_path):
    path = trained("digits", tmp_path / "run", online="mnist-motion", count=20, epochs=2)
    assert [row["step"] for row in rows(path)] == ["12", "24"]
    assert json.loads((path / "data.json").read_text())["recipe_name"] == "mnist-motion"


def test_weights_to_begin_from(run, digits, tmp_path):
    path = trained(digits, tmp_path / "run", weights=run, steps=1, lr=1e-12)
    for name, value in weights(path).items():
        torch.testing.assert_close(value, weights(run, "best")[name])


def test_early_stopping(digits, tmp_path, capsys):
    path = trained(digits, tmp_path / "run", epochs=50, lr=1e-12, patience=3, quiet=False)
    assert len(rows(path)) <= 10
    assert "no better PSNR in 3 epochs: stopping early" in capsys.readouterr().out


def test_best_is_kept(digits, tmp_path):
    path = trained(digits, tmp_path / "run", epochs=4, optimizer="sgd", lr=2.0)
    table = rows(path)
    best = max(range(4), key=lambda i: float(table[i]["psnr"]))
    assert load_state(path / "state.pt")["best_epoch"] == best + 1
    if best < 3:
        assert not same(weights(path, "best"), weights(path))


def test_the_callers_random_numbers_stay(digits, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(digits, tmp_path / "run", steps=1)
    assert torch.equal(torch.rand(3), expected)


# ---- the same again ----


def test_a_run_is_a_function_of_its_options(run, digits, tmp_path):
    again = trained(digits, tmp_path / "again", epochs=3, samples_every=2, threads=3)
    assert same(weights(again), weights(run))
    assert (again / "samples/epoch-003.png").read_bytes() == (run / "samples/epoch-003.png").read_bytes()
    other = trained(digits, tmp_path / "other", epochs=3, seed=1)
    assert not same(weights(other), weights(run))


def stopped(monkeypatch, at):
    """Ctrl-C during a step."""
    report = module._Reports.each_step

    def each_step(self, state):
        report(self, state)
        if state.step == at:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module._Reports, "each_step", each_step)


@pytest.mark.parametrize(
    ("asked", "at", "online"),
    [
        (1, 2, None),
        (8, 9, None),
        (9, 9, None),
        (12, 13, None),
        (12, 13, "mnist-motion"),
        (25, 26, "mnist-motion"),
    ],
)
def test_resumed_is_as_if_not_stopped(digits, tmp_path, monkeypatch, asked, at, online):
    options = {"epochs": 3, "augment": True, "online": online, "optimizer": "adamw"}
    whole = trained(digits, tmp_path / "whole", **options)
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        stopped(patch, asked)
        with pytest.raises(StopError, match=f"stopped after step {at} of 27.*--run .*run --resume"):
            trained(digits, path, **options)
    assert load_state(path / "state.pt")["step"] == at
    assert fit(run=path, resume=True, quiet=True) == path
    for name in ("last", "best"):
        assert same(weights(path, name), weights(whole, name))
    one, other = (load_state(folder / "state.pt") for folder in (path, whole))
    for number, slot in one["optimizer"]["state"].items():
        assert all(
            torch.equal(value, other["optimizer"]["state"][number][key]) for key, value in slot.items()
        )
    timings = ("seconds", "images_per_second", "data_wait")
    for mine, theirs in zip(rows(path), rows(whole), strict=True):
        assert [v for k, v in mine.items() if k not in timings] == [
            v for k, v in theirs.items() if k not in timings
        ]


@pytest.mark.parametrize("name", ["read_metrics", "write_text", "save_weights", "save_state"])
def test_stopped_while_the_folder_is_begun(run, digits, tmp_path, monkeypatch, name):
    """Ctrl-C before, between and in the first files: what is there can be gone on with."""
    real, begun = getattr(runs, name), []

    def interrupted(*given, **options):
        if not begun:
            begun.append(True)
            signal.raise_signal(signal.SIGINT)
        return real(*given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(runs, name, interrupted)
        if name == "read_metrics":  # of a run that goes on
            trained(digits, tmp_path / "run", epochs=1)
            with pytest.raises(StopError, match="stopped after step"):
                fit(run=tmp_path / "run", resume=True, epochs=3, quiet=True)
        else:
            with pytest.raises(StopError, match="stopped after step 1 of"):
                trained(digits, tmp_path / "run", epochs=3)
    fit(run=tmp_path / "run", resume=True, quiet=True)
    if name != "read_metrics":  # the schedule is that of another length
        assert same(weights(tmp_path / "run"), weights(run))


def test_stopped_and_resumed_as_commands(digits, tmp_path):
    """With real processes, and a real Ctrl-C."""
    arguments = ["--model-args", "width=8", "--batch-size", "8", "--device", "cpu", "--threads", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "trainers.fit"]
    path = tmp_path / "run"
    child = subprocess.Popen(
        [*command, str(digits), "--run", str(path), "--epochs", "500", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    for line in child.stdout:
        if line.startswith("epoch"):
            child.send_signal(signal.SIGINT)
            break
    rest, errors = child.communicate(timeout=120)
    assert child.returncode == 130, errors
    assert "stopping after this step" in rest
    done = re.search(r"fit: stopped after step ([\d,]+) of 4,500, which is kept; go on with --run", errors)
    assert done, errors
    epochs = load_state(path / "state.pt")["epoch"] + 2
    again = subprocess.run(
        [*command, "--run", str(path), "--resume", "--epochs", str(epochs)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert f"going on after step {done[1]} of {epochs * 9}" in again.stdout
    assert [row["epoch"] for row in rows(path)] == [str(n + 1) for n in range(epochs)]


def test_going_on_for_longer(run, digits, tmp_path):
    import shutil

    path = tmp_path / "longer"
    shutil.copytree(run, path)
    fit(digits, run=path, resume=True, epochs=4, quiet=True)
    assert [row["epoch"] for row in rows(path)] == ["1", "2", "3", "4"]
    assert Options.read(path / "options.yaml").epochs == 4


def test_the_same_command_goes_on(digits, tmp_path):
    """Arguments that are added to those of a preset are the same ones when they are given again."""
    options = {"preset": "nafnet", "model_args": {"width": 4, "encoder": [1, 1, 1, 1]}, "optimizer_args": {}}
    options |= {"optimizer_args": {"eps": 1e-7}, "batch_size": 8, "crop": 16, "device": "cpu", "quiet": True}
    run = fit(digits, run=tmp_path / "run", steps=1, **options)
    fit(digits, run=run, steps=2, resume=True, **options)
    assert load_state(run / "state.pt")["step"] == 2
    with pytest.raises(TrainerError, match=r"was begun with model_args .*'width': 4.*, not .*'width': 8"):
        fit(run=run, resume=True, model_args={"width": 8}, quiet=True)


def test_going_on_without_the_weights_it_began_from(run, digits, tmp_path):
    shutil.copy(run / "last.safetensors", tmp_path / "w.safetensors")
    begun = trained(digits, tmp_path / "run", weights=tmp_path / "w.safetensors", steps=2)
    (tmp_path / "w.safetensors").unlink()
    fit(run=begun, resume=True, steps=3, quiet=True)
    assert load_state(begun / "state.pt")["step"] == 3


def test_going_on_with_other_pairs_to_judge_by(digits, folder, tmp_path):
    one, other = (
        blurgen.make("digits", folder / f"judge-{seed}.h5", "mnist-motion", count=6, seed=seed, threads=1)
        for seed in (11, 12)
    )
    begun = trained(digits, tmp_path / "run", val=one, steps=2)
    moved = shutil.copy(one, tmp_path / "moved.h5")
    fit(run=begun, resume=True, val=moved, steps=3, quiet=True)
    with pytest.raises(TrainerError, match=r"was begun with other pairs to judge by"):
        fit(run=begun, resume=True, val=other, steps=4, quiet=True)
    assert load_state(begun / "state.pt")["step"] == 3


def test_going_on_for_less_than_was_done(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    with pytest.raises(TrainerError, match=r"has done \d+ steps already, more than 1$"):
        fit(run=copy, resume=True, steps=1, quiet=True)
    assert (copy / "options.yaml").read_bytes() == (run / "options.yaml").read_bytes()


@pytest.mark.parametrize("shape", [(3,), ()])
def test_a_strangers_state_of_other_shapes(run, tmp_path, shape):
    """A fused step would read and write beside it."""
    copy = shutil.copytree(run, tmp_path / "run")
    state = load_state(copy / "state.pt")
    state["optimizer"]["state"][0]["exp_avg"] = torch.zeros(shape)
    torch.save(state, copy / "state.pt")
    with pytest.raises(TrainerError, match=r"is not of this run: exp_avg of the optimizer is \("):
        fit(run=copy, resume=True, epochs=4, quiet=True)


@pytest.mark.parametrize(("name", "value"), [("step", "many"), ("epoch", -1), ("images", 1.5)])
def test_a_strangers_state_of_other_types(run, tmp_path, name, value):
    copy = shutil.copytree(run, tmp_path / "run")
    torch.save({**load_state(copy / "state.pt"), name: value}, copy / "state.pt")
    with pytest.raises(TrainerError, match=f"is not of this run: {name} "):
        fit(run=copy, resume=True, epochs=4, quiet=True)


def test_going_on_where_nothing_is_left(run):
    before = weights(run)
    fit(run=run, resume=True, quiet=True)
    assert same(weights(run), before)


def test_going_on_with_other_options_or_pairs(run, colours, tmp_path):
    with pytest.raises(TrainerError, match=r"was begun with lr 0\.001, not 0\.1: begin another"):
        fit(run=run, resume=True, lr=0.1, quiet=True)
    with pytest.raises(TrainerError, match=r"begun with other pairs|takes images"):
        fit(colours, run=run, resume=True, quiet=True)
    with pytest.raises(TrainerError, match=r"nothing to go on with in .*: no state\.pt"):
        fit(run=tmp_path, resume=True, quiet=True)
    with pytest.raises(TrainerError, match="name the run to go on with"):
        fit(resume=True, quiet=True)


# ---- what is wrong ----


def said(capsys, *arguments):
    code = main([*map(str, arguments)])
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.count("\n") == 1, error
    assert error.startswith("fit: ")
    return code, error.removeprefix("fit: ").strip()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "unet"], r"there is no network 'unet'; there are autoencoder"),
        (["--model", "moussaka"], r"network 'moussaka' takes images of 90×270 pixels, these have 28×28"),
        (
            ["--model-args", "depth=3"],
            r"network 'cnn-7-5-3' has no argument 'depth'; it takes width, dropout",
        ),
        (["--model-args", "depth"], r"--model-args 'depth': NAME=VALUE is needed"),
        (["--loss", "l2"], r"there is no loss 'l2'; there are mse"),
        (["--optimizer", "lion"], r"option optimizer 'lion': 'adam', 'adamw' or 'sgd' is needed"),
        (["--optimizer-args", "momentum=1"], r"optimizer 'adamw': .*'momentum'"),
        (["--optimizer-args", "foreach=true"], r"optimizer 'adamw': .*`foreach`"),
        (["--optimizer-args", "betas=0.9,0.9,0.9"], r"optimizer 'adamw': too many values to unpack"),
        (
            ["--optimizer", "sgd", "--optimizer-args", "dampening=much"],
            r"optimizer 'sgd': .*dampening 'much'",
        ),
        (["--schedule-args", "floor=nan"], r"schedule 'cosine': floor nan: a number, 0 or more, is needed"),
        (["--count", "5"], r"count 5 is for blur that is drawn anew: name its recipe"),
        (
            ["--count", "5", "--online", "mnist-motion"],
            r"count 5 is for sources: pair file .* is taken whole",
        ),
        (["--online-on", "gpu"], r"online_on 'gpu' is for blur that is drawn anew"),
        (["--weights", "na\udcffme"], r"option weights 'na\\udcffme': a name in UTF-8 is needed"),
        (["--lr", "0"], r"option lr 0\.0: greater than 0 is needed"),
        (
            ["--schedule-args", "every=3"],
            r"schedule 'cosine' has no argument 'every'; it takes floor, warmup",
        ),
        (["--epochs", "2", "--steps", "3"], r"give epochs or steps, not both"),
        (["--epochs", "0"], r"option epochs 0: greater than or equal to 1 is needed"),
        (["--crop", "29"], r"crop 29: the images have 28×28 pixels only"),
        (["--val-fraction", "1"], r"option val_fraction 1\.0: less than 1 is needed"),
        (["--precision", "fp16"], r"option precision 'fp16': 'fp32' or 'bf16' is needed"),
        (["--device", "tpu"], r"there is no device 'tpu'"),
        (["--preset", "best"], r"there is no preset 'best'; there are mnist-deblurring"),
        (["--pretrain", "layerwise"], r"layer-wise pre-training is for network 'moussaka', not 'cnn-7-5-3'"),
        (["--encoder-weights", "x.pth"], r"encoder weights are for network 'resnet-encdec', not 'cnn-7-5-3'"),
        (["--weights", "nowhere"], r"there is no run 'nowhere'"),
        (["--online", "no-such-recipe"], r"no-such-recipe"),
        (["--online", "mnist-motion", "--online-on", "gpu", "--device", "cpu"], r"the device is the CPU"),
    ],
)
def test_one_clear_sentence(digits, tmp_path, capsys, arguments, message):
    code, error = said(capsys, digits, "--run", tmp_path / "run", *arguments)
    assert code == 1
    assert re.search(message, error), error
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent(digits, capsys):
    code, error = said(capsys, digits, "--device", "cuda")
    assert (code, error) == (
        1,
        "device cuda: this machine has no GPU that PyTorch can use (--device cpu)",
    )


def test_no_pairs_file(capsys, tmp_path):
    assert said(capsys, tmp_path / "no.h5") == (
        1,
        f"pair file '{tmp_path / 'no.h5'}' cannot be read: there is no such file",
    )
    assert said(capsys) == (1, "name a pair file")


def test_a_run_that_exists(run, digits, capsys):
    code, error = said(capsys, digits, "--run", run)
    assert (code, error) == (
        1,
        f"run '{run}' exists: go on with it (--resume), or name another (--run)",
    )


def test_a_folder_that_holds_no_run(digits, tmp_path, capsys):
    (tmp_path / "options.yaml").write_text("", encoding="utf-8")  # as a stop at the very start leaves it
    code, error = said(capsys, digits, "--run", tmp_path)
    assert (code, error) == (
        1,
        f"'{tmp_path}' exists, and holds no run to go on with: name another folder (--run)",
    )


def test_wrong_usage(capsys):
    assert main(["--nonsense"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_a_loss_that_is_no_number(digits, tmp_path, capsys):
    """A learning rate far too large: the checkpoint of the last epoch that was finite stays."""
    code, error = said(
        capsys,
        digits,
        "--run",
        tmp_path / "run",
        "--optimizer",
        "sgd",
        "--lr",
        "1e30",
        "--quiet",
        "--device",
        "cpu",
    )
    assert code == 1
    assert re.search(
        r"the loss is infinite or NaN after step \d+: a smaller learning rate than \S+e\+29 may help", error
    )
    assert all(bool(value.isfinite().all()) for value in weights(tmp_path / "run").values())


def test_out_of_memory(digits, tmp_path, monkeypatch):
    def train(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module, "train", train)
    with pytest.raises(
        TrainerError, match=r"out of memory with batch size 8: try a smaller one \(--batch-size\)"
    ):
        trained(digits, tmp_path / "run")


def test_weights_of_another_network(run, digits, tmp_path):
    with pytest.raises(TrainerError, match="weights of network 'cnn-7-5-3', not of 'srcnn-9-1-5'"):
        trained(digits, tmp_path / "run", model="srcnn-9-1-5", model_args={}, weights=run)


def test_weights_that_are_no_numbers(digits, tmp_path):
    network = build("cnn-7-5-3", 1, width=8)
    torch.nn.init.constant_(network.body[0].bias, math.nan)
    save_weights(tmp_path / "w.safetensors", network)
    with pytest.raises(TrainerError, match=r"body\.0\.bias holds values that are not finite"):
        trained(digits, tmp_path / "run", weights=tmp_path / "w.safetensors")


# ---- options ----


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_options_of_known_networks(name):
    options = resolved({"pairs": "p.h5", "preset": name})
    assert options.preset == name
    channels = MODELS[options.model].only_channels or 1
    build(options.model, channels, **{**options.model_args, **({"width": 8} if name == "nafnet" else {})})


def test_single_options_override_a_preset():
    options = resolved(
        {"pairs": "p.h5", "preset": "nafnet", "lr": 1e-4, "model_args": {"width": 16}, "epochs": 3}
    )
    assert (options.lr, options.epochs, options.steps) == (1e-4, 3, None)
    assert options.model_args == {"width": 16, "encoder": [1, 1, 1, 28], "middle": 1, "decoder": [1, 1, 1, 1]}
    options = resolved({"pairs": "p.h5", "preset": "nafnet", "model": "srcnn-9-1-5", "optimizer": "adam"})
    assert options.model_args == options.optimizer_args == {}
    assert options.schedule_args == {"floor": 1e-7}


def test_preset_trains(digits, tmp_path):
    path = fit(digits, preset="mnist-deblurring", run=tmp_path / "run", steps=2, device="cpu", quiet=True)
    options = Options.read(path / "options.yaml")
    assert (options.lr, options.batch_size, options.epoch_steps, options.optimizer) == (5e-4, 16, 250, "adam")


def test_options_come_back_from_yaml():
    options = Options(
        pairs="ä.h5", model="nafnet", model_args={"encoder": [1, 2]}, lr=1e-4, pretrain_steps=(3, 4)
    )
    assert Options.from_yaml(options.to_yaml()) == options
    with pytest.raises(TrainerError, match="there is no option 'learning_rate'"):
        Options.of({"learning_rate": 1})
    with pytest.raises(TrainerError, match="no YAML"):
        Options.from_yaml("a: [")


def test_defaults_by_the_images(digits, colours):
    notes = []
    options = completed(Options(pairs="p"), open_data(Options(pairs=str(digits))), notes.append)
    assert (options.model, options.batch_size, options.crop, options.epochs) == ("cnn-7-5-3", 16, 0, 20)
    assert "cnn-7-5-3, for images of 28×28" in notes[0]
    large = open_data(Options(pairs=str(colours)))
    object.__setattr__(large, "shape", (720, 1280, 3))
    options = completed(Options(pairs="p", steps=5), large, notes.append)
    assert (options.model, options.batch_size, options.crop, options.epochs) == ("nafnet", 16, 256, None)


def test_key_values():
    assert key_values("-x", ["a=1", "b=1e-3", "c=1,2", "d=[3]", "e=true", "f=word", "g=(1, 2.5)"]) == {
        "a": 1,
        "b": 1e-3,
        "c": [1, 2],
        "d": [3],
        "e": True,
        "f": "word",
        "g": [1, 2.5],
    }


def test_schedules():
    rate = schedule("staircase", 1e-3, 10_000, {"factor": 0.98125, "every": 1000})
    assert [rate(step) for step in (0, 999, 1000, 2500)] == pytest.approx(
        [1e-3, 1e-3, 0.98125e-3, 0.98125**2 * 1e-3]
    )
    rate = schedule("cosine", 1e-3, 1000, {"floor": 1e-7, "warmup": 100})
    assert [rate(step) for step in (0, 49, 99, 100)] == pytest.approx([1e-5, 5e-4, 1e-3, 1e-3])
    assert rate(550) == pytest.approx((1e-3 + 1e-7) / 2)
    assert rate(1000) == pytest.approx(1e-7)
    # PyTorch's own
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20, eta_min=0.01)
    mine = schedule("cosine", 0.1, 20, {"floor": 0.01})
    for step in range(20):
        assert mine(step) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert schedule("constant", 0.3, 5, {})(4) == 0.3
    with pytest.raises(TrainerError, match="every 0: a number, 1 or more, is needed"):
        schedule("staircase", 0.3, 5, {"every": 0})


def test_devices():
    assert chosen_device("cpu") == CPU
    assert chosen_device("auto").type in ("cpu", "cuda")


def test_judging_is_a_mean_over_pairs():
    torch.manual_seed(0)
    sharp = torch.rand(7, 1, 16, 16)
    blurred = (sharp + 0.1 * torch.randn_like(sharp)).clamp(0, 1)
    batches = [(blurred[:4], sharp[:4]), (blurred[4:], sharp[4:])]
    scores = judge(lambda images: images, batches, loss=mse, device=CPU)
    assert scores.psnr == pytest.approx(psnr(blurred, sharp).mean().item(), rel=1e-6)
    assert scores.loss == pytest.approx(mse(blurred, sharp).item(), rel=1e-6)


# ---- a network of one's own, and pre-training ----


def test_a_network_of_ones_own(digits, tmp_path):
    @register("mine")
    class Mine(Network):
        def __init__(self, channels: int = 1) -> None:
            super().__init__()
            self.channels = channels
            self.body = torch.nn.Conv2d(channels, channels, 3, padding=1)

        def forward(self, images):
            return self.body(images)

    try:
        path = trained(digits, tmp_path / "run", model="mine", model_args={}, steps=3)
        assert isinstance(load_network(path)[0], Mine)
    finally:
        del MODELS["mine"]


@pytest.fixture(scope="module")
def plates(folder):
    images = np.random.default_rng(1).integers(0, 256, (24, 9, 27), dtype=np.uint8)
    np.save(folder / "plates.npy", images.repeat(10, axis=1).repeat(10, axis=2))
    return blurgen.make(f"npy:{folder / 'plates.npy'}", folder / "plates.h5", "fashion-gaussian", threads=1)


def test_layer_wise_pretraining(plates, tmp_path, capsys):
    path = trained(
        plates,
        tmp_path / "run",
        model="moussaka",
        model_args={"width": 8},
        batch_size=4,
        pretrain="layerwise",
        pretrain_steps=(6, 3),
        steps=2,
        quiet=False,
    )
    out = capsys.readouterr().out
    assert "pre-training layer by layer: 6 steps for the first, 3 for each other" in out
    before, after = re.search(r"layer 1: error (\S+) before, (\S+) after", out).groups()
    assert float(before) > float(after)
    assert out.count(" before, ") == 6
    assert len(rows(path)) == 1


def test_pretraining_changes_one_layer_after_the_other(plates):
    from trainers.data import Feeder

    data = open_data(Options(pairs=str(plates)))
    feeder = Feeder(data.train.rows, data.train.index, batch_size=4, device=CPU)
    torch.manual_seed(0)
    network = build("moussaka", 1, width=8)
    seen, before = [], {name: value.clone() for name, value in network.state_dict().items()}

    def each_layer(number, first, last):
        now = network.state_dict()
        seen.append(sorted(key for key in now if not torch.equal(now[key], before[key])))

    steps = {"first_steps": 3, "other_steps": 2, "seed": 1, "device": CPU}
    layerwise(network, feeder, **steps, each_layer=each_layer)
    assert [len(names) for names in seen] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("stop_after", [1, 5, 6, 7, 14])
def test_a_pretraining_that_was_stopped_goes_on_as_if_it_had_not_been(
    plates, tmp_path, monkeypatch, stop_after
):
    options = {
        "model": "moussaka",
        "model_args": {"width": 8},
        "batch_size": 4,
        "pretrain": "layerwise",
        "pretrain_steps": (6, 3),
        "steps": 2,
    }
    whole = trained(plates, tmp_path / "whole", **options)

    class Asked:
        """Asks to stop once so many steps of pre-training were looked at."""

        looks = 0

        @property
        def asked(self):
            self.looks += 1
            return self.looks >= stop_after

    with monkeypatch.context() as patched:
        patched.setattr("trainers.fit.stop_request", lambda _: contextlib.nullcontext(Asked()))
        with pytest.raises(StopError, match=r"stopped after pre-training \d layers, which are kept"):
            trained(plates, tmp_path / "stopped", **options)
    fit(run=tmp_path / "stopped", resume=True, quiet=True)
    assert same(weights(whole), weights(tmp_path / "stopped"))


def test_encoder_weights(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "i.npy", images)
    pairs = blurgen.make(f"npy:{tmp_path / 'i.npy'}", tmp_path / "p.h5", "fashion-gaussian", threads=1)
    encoder = build("resnet-encdec", 3).encoder
    torch.save(
        {**encoder.state_dict(), "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)},
        tmp_path / "resnet50.pth",
    )
    path = fit(
        pairs,
        model="resnet-encdec",
        encoder_weights=tmp_path / "resnet50.pth",
        run=tmp_path / "run",
        steps=1,
        lr=1e-12,
        batch_size=2,
        optimizer="sgd",
        device="cpu",
        quiet=True,
    )
    found = weights(path)["encoder.layer3.5.conv2.weight"]
    torch.testing.assert_close(found, encoder.state_dict()["layer3.5.conv2.weight"])


def test_state_has_defaults():
    assert State() == State(step=0, best_epoch=0)


def test_a_source_without_a_recipe_is_told_from_a_pair_file(tmp_path):
    with pytest.raises(TrainerError, match="'digits' is a source of sharp images, and no pair file"):
        fit("digits", run=tmp_path / "run")
