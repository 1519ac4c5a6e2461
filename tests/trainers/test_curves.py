"""Curves of runs that are there, and the formats of figures."""

import csv
import json
import re
import shutil
from xml.etree import ElementTree

import pytest

import blurgen
from trainers.curves import draw_curves, main
from trainers.errors import TrainerError
from trainers.evaluate import evaluate
from trainers.fit import fit

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    return fit(
        digits,
        model="cnn-7-5-3",
        model_args={"width": 4},
        epochs=2,
        loss="mse",
        run=tmp_path_factory.mktemp("curves") / "run",
        device="cpu",
        quiet=True,
    )


def words(path):
    return [element.text for element in ElementTree.parse(path).getroot().iter(f"{SVG}text")]


def heights(path, count):
    """Where the marks of the first curves stand, from the top: a list of each."""
    marks = [
        [float(use.get("y")) for use in group.iter(f"{SVG}use")]
        for group in ElementTree.parse(path).getroot().iter(f"{SVG}g")
        if group.get("clip-path")
    ]
    return [found for found in marks if len(found) == count]


def test_the_curves_of_a_run_are_its_metrics(run, tmp_path):
    path = draw_curves([run], tmp_path / "a.svg")
    said = words(path)
    for label in ("epoch", "loss (mse)", "PSNR / dB", "training", "held out", "doing nothing"):
        assert label in said
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    training, held_out, psnr = heights(path, 2)
    for (first, second), column in ((training, "loss"), (held_out, "val_loss"), (psnr, "psnr")):
        values = [float(row[column]) for row in rows]
        assert (first > second) == (values[0] < values[1])  # higher values stand higher, at less


@pytest.mark.parametrize("said", [{}, {"nothing": {"psnr": None}}, {"nothing": 3}])
def test_a_damaged_run_is_told(run, tmp_path, said):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(TrainerError, match=r"data\.json' is damaged: it lacks the PSNR of doing nothing"):
        draw_curves([tmp_path / "run"], tmp_path / "a.svg")


def test_a_run_that_is_given_twice_is_drawn_once(run, tmp_path, capsys):
    out = tmp_path / "a.svg"
    assert main([str(run), str(run), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 1 run\n"
    assert out.read_bytes() == draw_curves([run], tmp_path / "b.svg").read_bytes()


def test_several_runs_stand_together(run, tmp_path):
    other = tmp_path / "other$1$"
    shutil.copytree(run, other)
    said = words(draw_curves([run, other], tmp_path / "a.svg"))
    assert said.count("run") == said.count("other$1$") == 2
    assert "training" not in said
    twin = tmp_path / "b" / "run"
    shutil.copytree(run, twin)
    assert said != (same := words(draw_curves([run, twin], tmp_path / "a.svg")))
    assert str(twin) in same


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF-")])
def test_the_command(run, tmp_path, capsys, form, start):
    out = tmp_path / f"a.{form}"
    assert main([str(run), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 1 run\n"
    assert out.read_bytes().startswith(start)


def test_errors_are_one_sentence(run, tmp_path, capsys):
    assert main([str(run), "--out", "a.gif"]) == 1
    assert re.search(r"curves: 'a\.gif': .*\.png, \.svg or \.pdf", capsys.readouterr().err)
    assert main([str(tmp_path), "--out", "a.png"]) == 1
    assert "metrics.csv' cannot be read" in capsys.readouterr().err
    with pytest.raises(TrainerError, match="no run is given"):
        draw_curves([], "a.png")
    early = tmp_path / "early"
    shutil.copytree(run, early)
    (early / "metrics.csv").write_text((run / "metrics.csv").read_text().partition("\n")[0] + "\n")
    with pytest.raises(TrainerError, match="early' has no epoch yet"):
        draw_curves([early], tmp_path / "a.png")


def test_breakdowns_are_written_in_the_format_asked_for(run, digits, tmp_path):
    (done,) = evaluate(run, [digits], device="cpu", classical=2, out=tmp_path, figures="svg")
    assert not (done.folder / "breakdown.png").exists()
    said = words(done.folder / "breakdown.svg")
    assert "PSNR / dB" in said
    assert "1.motion.length / px" in said
    assert "1.motion.angle / °" in said
    with pytest.raises(blurgen.BlurgenError, match="figures 'jpg': png, svg or pdf is needed"):
        evaluate(run, [digits], device="cpu", figures="jpg")
