"""Comparisons: the grid, what is written, going on where one stopped, and messages."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

import blurgen
from trainers import compare as module
from trainers.checkpoint import load_network, read_weights
from trainers.compare import compare, main
from trainers.console import StopError
from trainers.errors import TrainerError
from trainers.fit import fit
from trainers.grid import Cell, named_models
from trainers.models import Network, register
from trainers.models.base import MODELS
from trainers.runs import read_metrics

SHORT = {"epochs": 2, "batch_size": 16, "device": "cpu", "seed": 4}
MODELS_ASKED = ["cnn-7-5-3:width=4", "nafnet:width=4"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    return [
        blurgen.make("digits", folder / "motion.h5", "mnist-motion", count=60),
        blurgen.make("digits", folder / "gauss.h5", "fashion-gaussian", count=40),
    ]


@pytest.fixture(scope="module")
def done(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("compared") / "out"
    torch.set_num_threads(1)  # as in the tests: sums in the same order
    return out, compare(files, models=MODELS_ASKED, lr=[1e-3, 4e-3], out=out, **SHORT)


def test_commas_stand_between_models_and_within_values():
    assert named_models("cnn-7-5-3, nafnet:encoder=1,1,2:width=8,,moussaka") == [
        "cnn-7-5-3",
        "nafnet:encoder=1,1,2:width=8",
        "moussaka",
    ]
    assert named_models("no-such,nafnet:width=8,misspelt") == ["no-such", "nafnet:width=8", "misspelt"]


def test_every_training_of_the_grid_is_done(done):
    out, results = done
    cells = [(result.cell.file, result.cell.model, result.cell.lr) for result in results]
    assert cells == [(f, m, r) for f in ("motion", "gauss") for m in MODELS_ASKED for r in (1e-3, 4e-3)]
    for result in results:
        assert result.run.parent == out / "runs"
        network, options = load_network(result.run)
        assert network.kind == result.cell.model.partition(":")[0]
        assert (options.lr, options.epochs, options.seed) == (result.cell.lr, 2, 4)
        assert len(result.metrics) == 2
    assert len({result.run for result in results}) == 8


def test_a_training_of_the_grid_is_that_of_fit(done, files, tmp_path):
    _, results = done
    run = fit(
        files[0],
        model="cnn-7-5-3",
        model_args={"width": 4},
        lr=4e-3,
        run=tmp_path / "alone",
        quiet=True,
        **SHORT,
    )
    ours, alone = read_weights(results[1].run / "last.safetensors"), read_weights(run / "last.safetensors")
    assert ours.keys() == alone.keys()
    assert all(torch.equal(ours[name], alone[name]) for name in ours)


def test_tables_hold_the_best_epoch_of_each(done):
    out, results = done
    with (out / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for row, result in zip(rows, results, strict=True):
        best = max(read_metrics(result.run), key=lambda each: each["psnr"])
        assert row["file"] == result.cell.file
        assert float(row["PSNR"]) == pytest.approx(best["psnr"], rel=1e-6)
        assert float(row["gain"]) == pytest.approx(best["psnr"] - result.before, abs=1e-4)
        assert int(row["best epoch"]) == best["epoch"]
        assert int(row["parameters"]) == result.parameters
    text = (out / "table.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 10
    assert "note" not in lines[0]  # there is none
    bold = [line for line in lines if "**" in line]
    assert len(bold) == 2  # the best of each file
    for line, file in zip(bold, ("motion", "gauss"), strict=True):
        best = max((r for r in results if r.cell.file == file), key=lambda r: r.best["psnr"])
        assert f"**{best.best['psnr']:.2f}**" in line
        assert best.cell.model in line


def test_figure_and_sheet(done):
    out, _ = done
    for name in ("losses.png", "samples.png"):
        with Image.open(out / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
    assert not list(out.rglob(".partial*"))


def test_done_again_nothing_is_trained(done, files, monkeypatch):
    out, before = done
    monkeypatch.setattr(module, "fit", lambda *_, **__: pytest.fail("trained again"))
    table = (out / "table.csv").read_bytes()
    again = compare(files, models=MODELS_ASKED, lr=[1e-3, 4e-3], out=out, figures="pdf", **SHORT)
    assert (out / "losses.pdf").read_bytes().startswith(b"%PDF-")
    assert [result.metrics for result in again] == [result.metrics for result in before]
    assert (out / "table.csv").read_bytes() == table


def test_interrupted_it_goes_on_to_the_same(done, files, tmp_path, monkeypatch):
    _, whole = done
    real, begun = module.fit, []

    def interrupted(*given, **options):
        begun.append(options["run"].name)
        if len(begun) == 2:  # after its first epoch, as a person might
            real(*given, **{**options, "epochs": 1})
            raise StopError("stopped after step 3")
        return real(*given, **options)

    asked = {"models": MODELS_ASKED[:1], "lr": [1e-3, 4e-3], "out": tmp_path / "out", "schedule": "constant"}
    asked |= SHORT
    expected = compare(files[:1], **{**asked, "out": tmp_path / "whole"})
    monkeypatch.setattr(module, "fit", interrupted)
    with pytest.raises(StopError, match="stopped after step 3; the same comparison goes on from there"):
        compare(files[:1], **asked)
    monkeypatch.setattr(module, "fit", lambda *given, **options: real(*given, **{**options, "epochs": 2}))
    results = compare(files[:1], **asked)
    assert len(begun) == 2
    for one, other in zip(results, expected, strict=True):
        ours, theirs = (read_weights(each.run / "last.safetensors") for each in (one, other))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert len(whole) == 8


def test_a_run_that_had_not_begun_is_begun_anew(files, tmp_path):
    cell = Cell("gauss", str(files[1]), "cnn-7-5-3:width=4", None)
    folder = tmp_path / "out" / "runs" / cell.name
    asked = {"models": ["cnn-7-5-3:width=4"], "out": tmp_path / "out", **SHORT}
    compare(files[1:], **asked)
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    record["done"] = {}
    (tmp_path / "out" / "comparison.json").write_text(json.dumps(record))
    (folder / "state.pt").unlink()
    (results,) = compare(files[1:], **asked)
    assert len(results.metrics) == 2


def test_files_networks_and_rates_may_be_added(files, tmp_path):
    first = compare(files[:1], models=MODELS_ASKED[:1], lr=[1e-3], out=tmp_path / "o", **SHORT)
    more = compare(files, models=MODELS_ASKED[:1], lr=[1e-3, 2e-3], out=tmp_path / "o", **SHORT)
    assert len(more) == 4
    assert more[0].metrics == first[0].metrics


def test_options_that_were_refused_are_not_held_against_the_folder(files, tmp_path):
    asked = {"models": ["cnn-7-5-3:width=4"], "out": tmp_path / "o", **SHORT}
    with pytest.raises(TrainerError, match="option batch_size 0"):
        compare(files[1:], **{**asked, "batch_size": 0})
    (result,) = compare(files[1:], **asked)
    assert len(result.metrics) == 2


def test_a_full_disk_is_no_result(files, tmp_path, monkeypatch):
    """What a training cannot help ends the comparison, which goes on from there."""
    asked = {"models": ["cnn-7-5-3:width=4"], "out": tmp_path / "o", **SHORT}

    def full(*_: object) -> None:
        raise TrainerError("'samples' cannot be written: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("trainers.runs.Run.show", full)
        with pytest.raises(TrainerError, match="No space left"):
            compare(files[1:], **asked)
    (result,) = compare(files[1:], **asked)
    assert (result.note, len(result.metrics)) == ("", 2)


def test_files_whose_runs_would_have_one_name_are_told_apart(files, tmp_path):
    one = blurgen.make("digits", tmp_path / "a b.h5", "fashion-gaussian", count=20)
    other = blurgen.make("digits", tmp_path / "a-b.h5", "fashion-gaussian", count=30)
    results = compare([one, other], models=["cnn-7-5-3:width=4"], out=tmp_path / "o", **SHORT)
    assert [result.cell.path for result in results] == [str(one), str(other)]


def test_files_of_one_name_are_told_apart(files, tmp_path):
    (tmp_path / "other").mkdir()
    again = blurgen.make("digits", tmp_path / "other" / "gauss.h5", "fashion-gaussian", count=30)
    asked = {"models": ["cnn-7-5-3:width=4"], "out": tmp_path / "o", **SHORT}
    results = compare([files[1], again], **asked)
    assert [result.cell.file for result in results] == ["gauss", "gauss-2"]
    results = compare([again], **asked)  # and keep their names
    assert [result.cell.file for result in results] == ["gauss-2"]
    blurgen.make("digits", again, "fashion-gaussian", count=31, overwrite=True)
    with pytest.raises(TrainerError, match="has changed since it was compared"):
        compare([again], **asked)


def test_a_training_that_diverges_is_noted_and_the_others_go_on(files, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.models.base.MODELS", MODELS)

    @register("explodes")
    class Explodes(Network):
        def __init__(self, channels: int = 1) -> None:
            super().__init__()
            self.channels = channels
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            return images * (self.scale / 0 if self.training else self.scale)

    try:
        asked = {"models": ["explodes", "cnn-7-5-3:width=4"], "out": tmp_path / "o", **SHORT}
        results = compare(files[1:], **asked)
        assert "the loss is infinite or NaN" in results[0].note
        assert results[0].best is None
        assert results[1].note == ""
        assert "the loss is infinite" in (tmp_path / "o" / "table.md").read_text(encoding="utf-8")
        assert compare(files[1:], **asked)[0].note == results[0].note
        with pytest.raises(TrainerError, match="the loss is infinite or NaN"):
            compare(files[1:], **{**asked, "models": ["explodes"], "out": tmp_path / "alone"})
    finally:
        del MODELS["explodes"]


def test_names_of_runs_are_those_of_files():
    assert Cell("a b/ü", "p", "nafnet:width=4", 1e-4).name == "a-b-ü-nafnet-width=4-0.0001"
    assert Cell("a", "p", "nafnet", None).name == "a-nafnet"
    assert Cell("a", "p", "nafnet", None).label == "nafnet"


def test_the_command(files, tmp_path, capsys):
    arguments = [str(files[1]), "--models", "cnn-7-5-3:width=4,autoencoder", "--lr", "1e-3", "--epochs", "1"]
    arguments += ["--out", str(tmp_path / "o"), "--device", "cpu", "--batch-size", "16"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "1 of 2: gauss, cnn-7-5-3:width=4, 0.001" in out
    assert "| gauss | autoencoder" in out
    assert main([*arguments, "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_errors_are_one_sentence(done, files, tmp_path, capsys):
    out, _ = done
    np.save(tmp_path / "c.npy", np.zeros((4, 28, 28, 3), np.uint8))
    colour = blurgen.make(f"npy:{tmp_path / 'c.npy'}", tmp_path / "c.h5", "fashion-gaussian")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    new = ["--out", str(tmp_path / "new")]
    model = ["--models", "autoencoder"]
    cases = [
        ([str(files[0]), "--models", "unet", *new], "there is no network 'unet'"),
        (
            [str(files[0]), "--models", "cnn-7-5-3:depth=3", *new],
            "network 'cnn-7-5-3' has no argument 'depth'",
        ),
        ([str(files[0]), "--models", "cnn-7-5-3:wide", *new], "NAME=VALUE is needed"),
        ([str(files[0]), "--models", ",", *new], "needs a file of pairs and a network at least"),
        ([str(colour), "--models", "moussaka", *new], "'moussaka' takes images of 1 channel, these have 3"),
        ([str(tmp_path / "no.h5"), *model, *new], "there is no such file"),
        ([str(files[0]), *model, *new, "--lr", "fast"], "--lr 'fast': numbers with commas between them"),
        ([str(files[0]), *model, *new, "--lr", "1e-3,0"], "learning rate 0: a number above 0 is needed"),
        ([str(files[0]), *model, *new, "--preset", "best"], "there is no preset 'best'"),
        ([str(files[0]), *model, *new, "--loss", "ssim"], "there is no loss 'ssim'"),
        ([str(files[0]), *model, "--out", str(tmp_path / "full")], "exists and is no comparison"),
        (
            [str(files[0]), *model, "--out", str(out), "--epochs", "3"],
            "was compared with batch_size 16, not as usual",
        ),
    ]
    for arguments, message in cases:
        assert main([*arguments, "-q"]) == 1, message
        said = capsys.readouterr()
        assert said.err.startswith("compare: ")
        assert message in said.err
        assert said.err.count("\n") == 1
        assert not said.out
    assert main([]) == 2
    with pytest.raises(TrainerError, match="compare takes no option 'resume'"):
        compare(files, models=["autoencoder"], out=tmp_path / "new", resume=True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "comparison.json").write_text("{")
    with pytest.raises(TrainerError, match="cannot be read"):
        compare(files, models=["autoencoder"], out=tmp_path / "bad")
