"""Every example runs, in little, and what is written about the examples is so."""

import ast
import csv
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from documents import commands, parsed
from PIL import Image
from scipy import io
from shared_data import shared

import blurgen
from trainers.checkpoint import load_network
from trainers.fit import fit
from trainers.models import MODELS
from trainers.presets import PRESETS
from trainers.runs import read_data, read_metrics

FOLDER = Path(__file__).parents[1] / "examples"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
HELPERS = ("running", "two_layers")
INTEGRATIONS = ("albumentations_replay", "endless_stream", "numpy_only", "torch_transform")
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in (*HELPERS, *INTEGRATIONS))


@pytest.fixture(autouse=True)
def _one_thread():
    """Arithmetic on one thread: quicker for so little of it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def example(monkeypatch):
    """Imports an example as when it is run; the networks it registers are forgotten after."""
    monkeypatch.syspath_prepend(str(FOLDER))
    networks, modules = dict(MODELS), set(sys.modules)
    yield importlib.import_module
    MODELS.clear()
    MODELS.update(networks)
    for name in sys.modules.keys() - modules:
        if name in (*NAMES, *HELPERS, *INTEGRATIONS) or name.startswith("imported_"):
            del sys.modules[name]


def images(folder, count, size, seed):
    """Coarse noise as PNGs, gray or in colour by the seed."""
    folder.mkdir(parents=True)
    for number in range(count):
        values = np.random.default_rng((seed, number)).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(values).resize(size).save(folder / f"{number:06}.png")
    return folder


def learned(run):
    """The rows of a run's metrics, which are numbers all."""
    rows = read_metrics(run)
    assert rows
    assert all(np.isfinite(row["psnr"]) and np.isfinite(row["loss"]) for row in rows)
    return rows


def same_weights(one, other):
    a, b = (load_network(run)[0].state_dict() for run in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# ---- each of them ----


def test_digits_and_a_matlab_file(example, tmp_path, capsys):
    main = example("mnist_motion").main
    blurred = blurgen.degrade(blurgen.open_source("digits").read(0, 7), "mnist-motion-len5", seed=4).blurred
    io.savemat(tmp_path / "n.mat", {"test": blurred.reshape(7, 784), "labels": np.eye(10)})
    out = tmp_path / "out"
    short = ["--data", "digits", "--count", "60", "--out", str(out)]
    assert main([*short, "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "n-MNIST is left out: --nmnist" in said
    assert not (out / "restored.npy").exists()
    pairs = blurgen.open_pairs(out / "pairs.h5")
    assert pairs.recipe.name == "mnist-motion"
    assert len(np.unique(pairs.source_index)) == 10
    assert (out / "run" / "evaluation" / "pairs" / "report.md").is_file()

    # the same command goes on, and a longer training is what it would have been at once
    assert main([*short, "--steps", "3", "--nmnist", f"{tmp_path / 'n.mat'}#test"]) == 0
    assert [row["step"] for row in learned(out / "run")] == [2, 3]
    at_once = fit(out / "pairs.h5", preset="mnist-deblurring", steps=3, run=tmp_path / "once", quiet=True)
    assert same_weights(out / "run" / "last.safetensors", at_once / "last.safetensors")

    restored = np.load(out / "restored.npy")
    assert restored.shape == (7, 28, 28)
    network = load_network(out / "run")[0]
    with torch.no_grad():
        wanted = network.restore(torch.from_numpy(blurred[:, None, :, :, 0].astype(np.float32) / 255))
    assert np.abs(restored - wanted[:, 0].numpy() * 255).max() < 0.51


def test_plates(example, tmp_path, capsys):
    photos = images(tmp_path / "photos" / "night", 2, (52, 21), 0)
    out = tmp_path / "out"
    arguments = ["--count", "3", "--steps", "1", "--pretrain-steps", "2", "1", "--out", str(out)]
    assert example("licence_plates").main([*arguments, "--photos", str(photos.parent)]) == 0
    said = capsys.readouterr().out
    assert "pre-training layer by layer: 2 steps for the first, 1 for each other" in said
    assert "blurred anew by 'plates'" in said
    learned(out / "run")
    for path in sorted(photos.glob("*.png")):
        with Image.open(out / "restored" / "night" / path.name) as restored:
            assert (restored.size, restored.mode) == ((52, 21), "RGB")


def test_clothes_with_both_losses(example, tmp_path, capsys):
    source = f"idx:{shared('datasets', 'fashion-mnist-sample', 'sample900-images-idx3-ubyte.gz')}"
    out = tmp_path / "out"
    arguments = ["--data", source, "--count", "60", "--epochs", "1", "--out", str(out)]
    assert example("fashion_autoencoder").main(arguments) == 0
    said = capsys.readouterr().out
    for loss in ("mse", "bce"):
        learned(out / loss)
        assert load_network(out / loss)[1].loss == loss
        scores = (out / loss / "evaluation" / "pairs" / "scores.csv").read_text().splitlines()
        errors = [float(row["autoencoder MSE"]) for row in csv.DictReader(scores)]
        assert len(errors) == 12  # a fifth of the images
        assert f"trained by {loss}: mean squared error {np.mean(errors):.4f}; published: 0.0034" in said


def test_nine_curves(example, tmp_path):
    images(tmp_path / "faces", 2, (90, 70), 1)
    out = tmp_path / "out"
    arguments = ["--data", str(tmp_path / "faces"), "--count", "2", "--epochs", "1", "--out", str(out)]
    assert example("anime_srcnn").main(arguments) == 0
    with (out / "comparison" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({(row["file"], row["model"], row["lr"]) for row in rows}) == 3 * 3 * 2
    assert all(np.isfinite(float(row["PSNR"])) for row in rows)
    for name in ("table.md", "losses.png", "samples.png"):
        assert (out / "comparison" / name).is_file()
    for recipe in ("anime-gaussian", "anime-box", "anime-motion"):
        pairs = blurgen.open_pairs(out / f"{recipe}.h5")
        assert (pairs.recipe.name, pairs.header.shape) == (recipe, (256, 256, 1))


def gopro(folder):
    """Pairs laid out as GoPro's."""
    for split, seed in (("train", 2), ("test", 3)):
        for kind in ("sharp", "blur", "blur_gamma"):
            images(folder / split / "GOPR0001_11_00" / kind, 2, (64, 40), seed)
    return folder


def test_photographs_in_two_phases(example, tmp_path):
    out = tmp_path / "out"
    arguments = ["--data", str(gopro(tmp_path / "GoPro")), "--size", "32", "--out", str(out)]
    assert example("gopro").main([*arguments, "--epochs", "1", "--only", "transform"]) == 0
    for preset in ("gopro-transform", "gopro-transform-2"):
        learned(out / preset)
        said = read_data(out / preset)
        assert (said["train_pairs"], said["held_out_pairs"]) == (2, 2)
        assert said["val"]["dataset"].endswith("GoPro/test")
    assert load_network(out / "gopro-transform-2")[1].weights == str(out / "gopro-transform")
    assert not same_weights(out / "gopro-transform", out / "gopro-transform-2")
    assert not (out / "gopro-resnet").exists()


def test_photographs_through_an_encoder(example, tmp_path, monkeypatch, capsys):
    """That network is too large to train here: all is done but the steps."""
    asked = []

    def planned(*pairs, **options):
        asked.append(options)
        return fit(*pairs, dry_run=True, quiet=True, **options)

    monkeypatch.setattr(example("running"), "fit", planned)
    module = example("gopro")
    monkeypatch.setattr(module, "evaluate", lambda run, pairs, quiet: None)
    data, out = gopro(tmp_path / "GoPro"), tmp_path / "out"
    arguments = ["--data", str(data), "--size", "32", "--count", "2", "--only", "resnet", "--out", str(out)]
    assert module.main(arguments) == 0
    assert [(each["preset"], each["epochs"]) for each in asked] == [("gopro-resnet", 350)]
    assert len(blurgen.open_pairs(out / "train.h5")) == 2
    assert module.main([*arguments, "--encoder-weights", str(tmp_path / "no.pth")]) == 1
    assert "no.pth" in capsys.readouterr().err


def test_own_network_is_what_the_commands_make(example, tmp_path, monkeypatch):
    """The example, and the commands that it names, with fewer pairs."""
    module = example("own_network")
    out = tmp_path / "out"
    assert module.main(["--count", "60", "--epochs", "2", "--out", str(out)]) == 0
    assert [row["step"] for row in learned(out / "run")] == [3, 6]
    network = load_network(out / "run")[0]
    assert network.kind == "two-layers"

    del MODELS["two-layers"]  # the commands bring it themselves
    monkeypatch.chdir(tmp_path)
    for program, arguments in commands(docstring("own_network")):
        changed = {"6000": "60", "3": "2", "examples/two_layers.py": str(FOLDER / "two_layers.py")}
        assert program.main([changed.get(each, each) for each in arguments]) == 0
    assert same_weights(tmp_path / "run", out / "run")
    restored = np.load(out / "restored.npy")
    assert restored.shape == (60, 28, 28)
    assert np.array_equal(restored, np.load(tmp_path / "restored.npy"))


# ---- in other people's programs ----


def said_by(example, capsys, name):
    example(name).main()
    return capsys.readouterr().out


def test_numpy_only_imports_no_torch():
    script = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__');"
        "print(sorted({'torch', 'cv2', 'albumentations', 'trainers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER / "numpy_only.py")],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.splitlines()
    assert said[-1] == "[]"
    assert "pair 5 made alone: the same" in said
    images = blurgen.open_source("digits", seed=1).read(0, 8)
    length = blurgen.degrade(images, "mnist-motion", seed=7).params["1.motion.length"][3]
    assert any(line.startswith(f"pair 3: moved {length:.2f} pixels") for line in said)


def test_a_transform_with_workers(example, capsys):
    said = said_by(example, capsys, "torch_transform")
    assert "a pass: (64, 1, 28, 28), torch.float32\n" in said
    assert "the second pass: blurred anew\n" in said
    assert "both from the same seed: the same\n" in said


def test_a_stream_that_a_network_learns_from(example, capsys):
    said = said_by(example, capsys, "endless_stream")
    first, last = map(float, re.search(r"loss (\S+) to (\S+)\n", said).groups())
    assert last < first / 3
    assert "by one worker, and by none: the same\n" in said


def test_albumentations_replayed(example, capsys):
    said = said_by(example, capsys, "albumentations_replay")
    assert said.count("replayed: the same\n") == 4
    assert 0 < said.count("not blurred") < 4
    assert "blurgen.degrade: the same\n" in said
    assert "written and read: Degrade('realistic', p=0.8)\n" in said


# ---- what goes wrong ----


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mnist_motion", ["--data", "mnits"], "no source 'mnits', did you mean 'mnist'?"),
        ("licence_plates", ["--data", "folder:nowhere"], "nowhere"),
        ("fashion_autoencoder", ["--data", "digits"], "never runs out: say how many pairs (--count)"),
        ("anime_srcnn", ["--data", "nowhere"], "nowhere"),
        ("gopro", ["--data", "nowhere"], "nowhere"),
        ("own_network", ["--count", "0"], "count 0"),
    ],
)
def test_errors_are_one_sentence(example, tmp_path, capsys, name, arguments, message):
    assert example(name).main([*arguments, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"{name}: ")
    assert message in said.err
    assert said.err.count("\n") == 1


def test_a_stop_is_no_error(example, tmp_path, monkeypatch, capsys):
    module = example("own_network")

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(blurgen, "make", stopped)
    assert module.main(["--out", str(tmp_path / "out")]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


# ---- what is written ----


def docstring(name):
    return ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", [*NAMES, "two_layers"])
def test_documented_commands_exist(example, monkeypatch, name):
    monkeypatch.chdir(FOLDER.parent)
    found = list(commands(docstring(name)))
    assert found
    for program, arguments in found:
        options = parsed(program, arguments)
        assert options.get("preset") in (None, *PRESETS)
        assert options.get("recipe") in (None, *blurgen.recipes())
        models = options.get("models") or [options.get("model") or "moussaka"]
        assert set(",".join(models).split(",")) <= MODELS.keys()


def test_readme_names_every_example(example):
    rows = re.findall(r"^\| \[(\w+)\.py\]\((\w+)\.py\) \|.*\| `(.*)` \|$", README, re.M)
    assert sorted(row[0] for row in rows) == NAMES
    shown = re.findall(r"^python examples/(\w+)\.py (.*)$", README, re.M)
    assert shown
    for name, arguments in [*((name, trial) for name, _, trial in rows), *shown]:
        example(name).parser().parse_args(shlex.split(arguments))


def test_readme_names_every_integration():
    rows = re.findall(r"^\| \[(\w+)\.py\]\((\w+)\.py\) \| [^|]+ \|$", README, re.M)
    assert sorted(rows) == [(name, name) for name in INTEGRATIONS]
