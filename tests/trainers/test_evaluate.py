"""Judging: scores against scikit-image and NumPy, groups, classical methods, held-out pairs, messages."""

import csv
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import blurgen
from blurgen.grouping import all_groups, groups
from blurgen.recipe import Recipe
from trainers.breakdown import mean_of
from trainers.checkpoint import save_weights
from trainers.classical import METHODS, deconvolve, restored
from trainers.compare import compare
from trainers.errors import TrainerError
from trainers.evaluate import METRICS, NOTHING, evaluate, main
from trainers.files import written
from trainers.fit import fit
from trainers.models import build
from trainers.options import Options
from trainers.tables import markdown, write_csv
from trainers.unseen import unseen_rows

NOISY = """
name: noisy-motion
copies: 3
stages:
- motion: {length: {uniform: [2, 6]}, angle: {uniform: [0, 180]}}
- maybe:
    probability: 0.5
    stages: [gaussian_noise: {sigma: {uniform: [0, 10]}}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluate")


@pytest.fixture(scope="module")
def pairs(folder):
    return blurgen.make("digits", folder / "pairs.h5", Recipe.from_yaml(NOISY), count=90)


@pytest.fixture(scope="module")
def run(folder, pairs):
    return fit(
        pairs,
        model="cnn-7-5-3",
        model_args={"width": 4},
        epochs=1,
        run=folder / "run",
        device="cpu",
        quiet=True,
    )


@pytest.fixture(scope="module")
def judged(run, pairs):
    return evaluate(run, [pairs], device="cpu")[0]


# ---- scores ----


def test_scores_are_those_of_scikit_image(judged, run):
    from trainers.checkpoint import load_network

    network, _ = load_network(run)
    for place in (0, 7, len(judged.rows) - 1):
        row = judged.rows[place]
        sharp, blurred = judged.pairs.sharp[row, ..., 0] / 255, judged.pairs.blurred[row, ..., 0] / 255
        with torch.no_grad():
            made = network.restore(torch.from_numpy(blurred).float()[None, None])[0, 0].double().numpy()
        for method, image in ((NOTHING, blurred), ("cnn-7-5-3", made)):
            expected = {
                "PSNR": peak_signal_noise_ratio(sharp, image, data_range=1),
                "SSIM": structural_similarity(
                    sharp, image, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
                ),
                "MSE": np.mean((image - sharp) ** 2),
                "MAE": np.mean(np.abs(image - sharp)),
            }
            for metric, value in expected.items():
                assert judged.scores[method][metric][place] == pytest.approx(value, rel=2e-4)


def test_only_held_out_images_are_taken_by_default(judged, run, pairs):
    source = np.asarray(judged.pairs.source_index)
    trained = np.flatnonzero(source < 24)  # 30 images of three copies each; the last fifth is held out
    assert set(judged.rows.tolist()) == set(range(90)) - set(trained.tolist())
    assert "18 of the 90 pairs" in judged.notes[0]
    every = evaluate(run, [pairs], everything=True, classical=0, out=judged.folder.parent / "all")[0]
    assert every.rows.tolist() == list(range(90))
    assert not every.notes
    np.testing.assert_array_equal(every.scores[NOTHING]["PSNR"][judged.rows], judged.scores[NOTHING]["PSNR"])


def test_rows_that_another_file_holds_of_the_same_images(folder, run, judged):
    options = Options.read(run / "options.yaml")
    more = blurgen.open_pairs(blurgen.make("digits", folder / "more.h5", "fashion-gaussian", count=40))
    rows, note = unseen_rows(run, options, more)
    assert rows.tolist() == list(range(24, 40))
    assert "16 of the 40 pairs" in note
    other = blurgen.open_pairs(
        blurgen.make("digits", folder / "other.h5", "fashion-gaussian", count=40, seed=5)
    )
    assert unseen_rows(run, options, other)[0].tolist() == list(range(40))
    assert unseen_rows(run, options, other)[1] == ""
    few = blurgen.open_pairs(blurgen.make("digits", folder / "few.h5", "fashion-gaussian", count=10))
    rows, note = unseen_rows(run, options, few)
    assert rows.tolist() == list(range(10))
    assert "the scores flatter" in note
    assert unseen_rows(run, options.with_values(val="x.h5"), more)[1].endswith("may flatter")


def test_weights_alone_do_not_say_what_they_were_trained_with(tmp_path, pairs):
    save_weights(tmp_path / "w.safetensors", build("cnn-7-5-3", 1, width=4), arguments='{"width": 4}')
    done = evaluate(tmp_path / "w.safetensors", [pairs], classical=0)[0]
    assert len(done.rows) == 90
    assert "is not known" in done.notes[0]
    assert done.folder == tmp_path / "evaluation" / "pairs"


# ---- what is written ----


def test_report_holds_tables_and_pictures(judged):
    report = (judged.folder / "report.md").read_text(encoding="utf-8")
    for text in ("# cnn-7-5-3 on pairs.h5", "## All 18 pairs", "known PSF", "| 0.motion.length", "| gain |"):
        assert text in report
    assert f"{judged.scores[NOTHING]['PSNR'].mean():.2f}" in report
    assert f"{np.percentile(judged.scores['cnn-7-5-3']['SSIM'], 95):.4f}" in report
    for name in ("breakdown.png", "samples.png"):
        assert (judged.folder / name).read_bytes().startswith(b"\x89PNG")
    assert not list(judged.folder.glob(".partial*"))


def test_csv_files_hold_every_pair_and_group(judged):
    with (judged.folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["pair"]) for row in rows] == judged.rows.tolist()
    for method in judged.scores:
        for metric in METRICS:
            found = [float(row[f"{method} {metric}"]) for row in rows]
            np.testing.assert_allclose(found, judged.scores[method][metric], rtol=1e-6)
    lengths = np.asarray(judged.pairs.params["0.motion.length"])[judged.rows]
    np.testing.assert_allclose([float(row["0.motion.length"]) for row in rows], lengths, rtol=1e-6)
    with (judged.folder / "breakdown.csv").open(encoding="utf-8", newline="") as file:
        parts = list(csv.DictReader(file))
    for name in ("0.motion.length", "0.motion.angle", "1.maybe.applied"):
        own = [row for row in parts if row["parameter"] == name]
        assert sum(int(row["pairs"]) for row in own) == len(judged.rows)
        weighted = sum(int(row["pairs"]) * float(row["cnn-7-5-3"]) for row in own) / len(judged.rows)
        assert weighted == pytest.approx(judged.mean("cnn-7-5-3"), rel=1e-6)


def test_the_same_again_gives_the_same_report(judged, run, pairs):
    before = (judged.folder / "report.md").read_bytes(), (judged.folder / "scores.csv").read_bytes()
    again = evaluate(run, [pairs], device="cpu")[0]
    assert ((again.folder / "report.md").read_bytes(), (again.folder / "scores.csv").read_bytes()) == before


def test_files_of_one_name_have_folders_of_their_own(run, pairs, tmp_path):
    done = evaluate(run, [pairs, pairs], classical=0, out=tmp_path)
    assert [each.folder.name for each in done] == ["pairs", "pairs-2"]


def test_few_pairs_for_the_classical_methods(run, pairs, tmp_path):
    done = evaluate(run, [pairs], classical=5, out=tmp_path)[0]
    tried = ~np.isnan(done.scores["Wiener"]["PSNR"])
    assert np.flatnonzero(tried).tolist() == done.classical_rows.tolist()
    assert len(done.classical_rows) == 5
    assert done.classical_rows[0] == 0
    assert done.classical_rows[-1] == len(done.rows) - 1


def test_without_a_known_psf_the_reason_is_said(folder, run):
    stages = {"unblurred": "gaussian_noise: {sigma: 3}", "medians": "median: {size: 3}"}
    for name, stage in stages.items():
        recipe = Recipe.from_yaml(f"name: {name}\nstages: [{stage}]")
        path = blurgen.make("digits", folder / f"{name}.h5", recipe, count=20, seed=9)
        done = evaluate(run, [path])[0]
        assert list(done.scores) == [NOTHING, "cnn-7-5-3"]
        assert "no classical methods: recipe" in done.notes[0]
        assert not (done.folder / "breakdown.png").exists()


def test_colour_pairs_of_odd_size(tmp_path):
    images = np.random.default_rng(2).integers(0, 256, (4, 21, 34, 3), np.uint8)
    np.save(tmp_path / "c.npy", images)
    path = blurgen.make(f"npy:{tmp_path / 'c.npy'}", tmp_path / "c.h5", "fashion-gaussian", copies=2)
    save_weights(tmp_path / "w.safetensors", build("nafnet", 3, width=4), arguments='{"width": 4}')
    done = evaluate(tmp_path / "w.safetensors", [path], batch_size=3)[0]
    assert done.scores["nafnet"]["PSNR"].shape == (8,)
    assert done.settings.keys() == {"Wiener", "Richardson–Lucy"}


def test_a_network_for_gray_images_judges_the_mean_of_the_channels(tmp_path):
    pairs = blurgen.make("shapes", tmp_path / "colour.h5", "fashion-gaussian", count=10, size=24, threads=1)
    run = fit(
        pairs,
        model="cnn-7-5-3",
        model_args={"width": 2},
        gray=True,
        steps=2,
        run=tmp_path / "run",
        quiet=True,
    )
    (judged,) = evaluate(run, [pairs], classical=2)
    assert "images are judged by the mean of their channels" in judged.notes
    opened = blurgen.open_pairs(pairs)
    blurred, sharp = (
        np.asarray(part[8:10], np.float64).mean(3) / 255 for part in (opened.blurred, opened.sharp)
    )
    expected = -10 * np.log10(((blurred - sharp) ** 2).mean((1, 2)))
    np.testing.assert_allclose(judged.scores["doing nothing"]["PSNR"], expected, rtol=1e-4)
    assert judged.mean("Wiener") > 0
    (compared,) = compare([pairs], models=["cnn-7-5-3:width=2"], steps=2, gray=True, out=tmp_path / "grid")
    assert compared.before == pytest.approx(expected.mean(), abs=1e-3)


# ---- classical methods ----


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_single_point_as_psf_changes_little(method):
    image = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)
    psf = np.zeros((7, 7), np.float32)
    psf[3, 3] = 1
    made = restored(method, image, psf, method.strengths[0])
    assert made.shape == image.shape
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, image / 255, atol=2e-3)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_classical_methods_undo_a_blur_without_a_shift(method):
    sharp = blurgen.sources.open_source("digits").read(0, 3)
    psf = np.zeros((9, 9), np.float32)
    psf[4, 4], psf[4, 5], psf[5, 6] = 0.6, 0.3, 0.1  # not symmetric
    blurred = blurgen.convolve(sharp, psf)
    for strength in method.strengths[:2]:
        made = restored(method, blurred[0], psf, strength)
        error = np.mean((made - sharp[0] / 255) ** 2)
        assert error < 0.2 * np.mean((blurred[0] / 255 - sharp[0] / 255) ** 2)
        shifted = np.mean((made - np.roll(sharp[0], 1, axis=1) / 255) ** 2)
        assert error < shifted


def test_strength_is_the_best_of_those_tried():
    sharp = blurgen.sources.open_source("digits").read(0, 8)
    psf = np.full((1, 3, 3), 1 / 9, np.float32)
    noisy = blurgen.convolve(sharp, psf[0]).astype(float)
    noisy += np.random.default_rng(0).normal(0, 12, noisy.shape)
    blurred = np.clip(noisy, 0, 255).round().astype(np.uint8)
    told = []
    results = deconvolve(blurred, sharp, np.repeat(psf, 8, axis=0), step=told.append)
    assert told == list(range(1, 17))
    for method, result in zip(METHODS, results, strict=True):
        assert result.method == method.name
        strength = float(result.setting.removeprefix(f"{method.parameter} "))
        scores = {}
        for tried in method.strengths:
            made = [restored(method, blurred[i], psf[0], tried) for i in range(2)]
            scores[tried] = np.mean([-np.log10(np.mean((made[i] - sharp[i] / 255) ** 2)) for i in range(2)])
        assert strength == max(scores, key=scores.get)
        np.testing.assert_array_equal(result.images[5], restored(method, blurred[5], psf[0], strength))


# ---- groups ----


@given(
    st.lists(
        st.one_of(st.floats(-100, 100), st.just(float("nan")), st.sampled_from([1.0, 2.0])), max_size=200
    )
)
def test_groups_of_floats_share_all_rows_in_rising_order(values):
    column = np.array(values)
    found = groups(column)
    present = column[~np.isnan(column)]
    if len(np.unique(present)) < 2:
        assert found == []
        return
    rows = np.concatenate([group.rows for group in found])
    assert sorted(rows.tolist()) == list(range(len(column)))
    with_stage = [group for group in found if not np.isnan(group.place)]
    for before, after in pairwise(with_stage):
        assert column[before.rows].max() < column[after.rows].min()
    assert (len(found) > len(with_stage)) == bool(np.isnan(column).any())


def test_groups_by_value_by_range_and_without():
    few = groups(np.array([3, -1, 5, 3, 5, 5]))
    assert [(group.label, group.rows.tolist()) for group in few] == [
        ("3", [0, 3]),
        ("5", [2, 4, 5]),
        ("without", [1]),
    ]
    many = groups(np.arange(160) / 10)
    assert len(many) == 8
    assert {len(group.rows) for group in many} == {20}
    assert many[0].label == "0 … 1.9"
    assert many[0].place == pytest.approx(0.95)
    assert len(groups(np.arange(33.0))) == 2  # fewer, where means would say little
    assert groups(np.full(9, 4.0)) == []
    assert groups(np.array([4.0, np.nan])) == []
    assert list(all_groups({"a": np.ones(4), "b": np.arange(4)})) == ["b"]


def test_mean_of_a_group_leaves_out_what_was_not_tried():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    one, two = groups(np.array([1, 1, 1, 2]))
    assert mean_of(values, one) == 2
    assert np.isnan(mean_of(values, two))


# ---- tables ----


def test_tables(tmp_path):
    text = markdown(["a|b", "n"], [["x", "1.5"]])
    assert text.splitlines() == ["| a\\|b |   n |", "| :--- | --: |", "| x    | 1.5 |"]
    write_csv(tmp_path / "t.csv", ["a", "b"], [["x,y", 1 / 3], [None, 5], [float("nan"), 2.0]])
    assert (tmp_path / "t.csv").read_text() == 'a,b\n"x,y",0.3333333\n,5\n,2\n'


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(TrainerError, match=r"'.*taken/x' cannot be written"):
        written(tmp_path / "taken" / "x", lambda path: path.write_text(""))


# ---- bad input ----


def test_errors_are_one_sentence(run, pairs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "c.npy", np.zeros((2, 28, 28, 3), np.uint8))
    blurgen.make("npy:c.npy", "colour.h5", "fashion-gaussian")
    cases = {
        ("nowhere", str(pairs)): "evaluate: there is no run 'nowhere'",
        (str(run), "nowhere.h5"): "nowhere.h5' cannot be read: there is no such file",
        (str(run), "colour.h5"): "takes images of 1 channel, those of 'colour.h5' have 3",
        (str(run), str(pairs), "--classical", "-1"): "classical -1: 0 or more pairs are needed",
        (str(run), str(pairs), "--precision", "fp8"): "precision 'fp8': fp32 or bf16 is needed",
        (str(run), str(pairs), "--device", "abacus"): "device",
    }
    if not torch.cuda.is_available():
        cases[str(run), str(pairs), "--device", "cuda"] = "this machine has no GPU"
    for arguments, message in cases.items():
        assert main(list(arguments)) == 1
        said = capsys.readouterr()
        assert said.err.startswith("evaluate: ")
        assert message in said.err
        assert said.err.count("\n") == 1
        assert not said.out
    assert main([]) == 2


def test_a_network_that_gives_nan_is_said(tmp_path, pairs):
    network = build("cnn-7-5-3", 1, width=4)
    with torch.no_grad():
        for layer in (network.body[0], network.body[3]):
            layer.weight.fill_(3e38)
        network.body[-1].weight.copy_(
            torch.tensor([1.0, -1.0, 1.0, -1.0])[None, :, None, None].expand(1, 4, 3, 3)
        )
    save_weights(tmp_path / "w.safetensors", network, arguments='{"width": 4}')
    with pytest.raises(TrainerError, match="gives values that are not finite"):
        evaluate(tmp_path / "w.safetensors", [pairs], classical=0)


def test_the_command_says_the_scores(run, pairs, judged, capsys, tmp_path):
    assert main([str(run), str(pairs), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"{judged.mean('cnn-7-5-3'):.2f}" in out
    assert f"{judged.mean('Wiener'):.2f}" in out
    assert "report, tables and pictures" in out
    assert main([str(run), str(pairs), "--out", str(tmp_path), "-q"]) == 0
    assert capsys.readouterr().out == ""
