import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest
import yaml
from PIL import Image
from shared_data import shared
from test_verification import flip

import blurgen
from blurgen import cli, console
from blurgen.cli import main

PACKAGE = Path(blurgen.__file__).parents[1]
COMMANDS = (
    "make",
    "finish",
    "merge",
    "info",
    "show",
    "report",
    "export",
    "verify",
    "gallery",
    "play",
    "psf",
    "recipes",
)


@pytest.fixture(autouse=True)
def _plain(monkeypatch, tmp_path):
    """A terminal of known width, without colours, in a folder of our own."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return blurgen.make("digits", tmp_path_factory.mktemp("cli") / "digits.h5", count=60, seed=1, psf=True)


@pytest.fixture
def run(capsys):
    """Run a command; gives exit code, standard output and standard error."""

    def run_it(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run_it


def environment():
    path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        check=False,
        env=environment(),
        text=True,
        **options,
    )


# ---- the frame ----


def test_version(run):
    assert run("--version") == (0, f"blurgen {blurgen.__version__}\n", "")


def test_help_names_every_command(run):
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(f" {command} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert out.strip().split("\n")[-1].strip().startswith(f"Example: blurgen {command} ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help(command):
    import typer.main

    for parameter in typer.main.get_command(cli.app).commands[command].params:
        assert parameter.help


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_parse(command):
    """Every option and argument of an example exists."""
    import typer.main

    found = typer.main.get_command(cli.app).commands[command]
    words = found.epilog.split()[3:]
    if ">" in words:
        words = words[: words.index(">")]
    found.make_context(command, words)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["make"],
        ["make", "--dataset", "digits"],
        ["make", "--dataset", "digits", "--out", "a.h5", "--count", "many"],
        ["make", "--nonsense"],
        ["info"],
        ["show", "a.h5"],
        ["show", "a.h5", "--out", "a.png", "--count", "0"],
        ["verify", "a.h5", "--sample", "-1"],
        ["psf"],
        ["psf", "sinc"],
        ["psf", "motion"],
        ["psf", "motion", "--radius", "3"],
        ["psf", "motion", "--length", "3,x"],
        ["psf", "box", "--size", "3.5"],
        ["psf", "box", "--recipe", "mnist-motion"],
        ["psf", "--recipe", "mnist-motion", "--size", "3"],
        ["recipes", "mnist-motion", "--schema"],
    ],
)
def test_wrong_usage_exits_with_2(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2
    if arguments:
        assert "Usage: blurgen" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["make", "--dataset", "mnits", "--out", "a.h5"], "no source 'mnits', did you mean 'mnist'"),
        (["make", "--dataset", "digits", "--out", "a.h5"], "never runs out: say how many pairs (--count)"),
        (["make", "--dataset", "digits", "--out", "a.h5", "--patch", "8"], "digits: no option 'patch'"),
        (["make", "-d", "digits", "-o", "none/a.h5", "-n", "1"], "there is no folder 'none'"),
        (["make", "-d", "digits", "-o", "a.h5", "-n", "1", "-r", "motoin"], "there is no recipe 'motoin'"),
        (["make", "-d", "digits", "-o", "a.h5", "-n", "0"], "count 0: a whole number from 1"),
        (["make", "-d", "digits", "-o", "a.h5", "-n", "1", "--threads", "0"], "threads 0"),
        (["make", "-d", "digits", "-o", "a.h5", "-n", "1", "--seed=-1"], "seed -1"),
        (["info", "none.h5"], "there is no such file"),
        (["show", "none.h5", "-o", "a.png"], "there is no such file"),
        (["report", "none.h5", "-o", "a.html"], "there is no such file"),
        (["verify", "none.h5"], "there is no such file"),
        (["psf", "motion", "--length", "nan"], "length nan"),
        (["psf", "box", "--size", "0"], "PSF size 0"),
        (["psf", "--file", "none.npz"], "there is no such file"),
        (["psf", "disk", "--radius", "2", "-o", "a.gif"], "ends in .png"),
        (["recipes", "none.yaml"], "recipe 'none.yaml' cannot be read"),
    ],
)
def test_errors_are_one_line(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("blurgen: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_importing_it_is_cheap():
    heavy = "numba numpy torch matplotlib pydantic h5py PIL scipy requests cv2".split()  # noqa: SIM905
    code = f"import sys, blurgen.cli; print([m for m in {heavy} if m in sys.modules])"
    assert process("-c", code).stdout == "[]\n"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from blurgen.cli import main; code = main(['--help']); "
        "sys.exit(code or 'numba' in sys.modules or 'numpy' in sys.modules)"
    )
    assert process("-c", code).returncode == 0


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["info", "none.h5"], 1), (["make"], 2)])
def test_as_a_module_the_exit_code_is_that_of_main(arguments, code):
    done = process("-m", "blurgen", *arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(made):
    shell = f"'{sys.executable}' -m blurgen recipes --schema | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, check=False, env=environment(), text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is needed")
@pytest.mark.parametrize("arguments", [["recipes", "mnist-motion"], ["--version"], ["--help"]])
def test_a_full_disk_behind_the_output_is_an_error(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "blurgen", *arguments],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("blurgen: ")
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


# ---- make ----


def test_make_says_what_it_made(run):
    code, out, err = run("make", "--dataset", "digits", "--out", "a.h5", "--count", 50, "--seed", 3, "--psf")
    assert code == 0
    assert out.startswith("a.h5: 50 pairs of 28×28×1, 0.")
    assert out.endswith(" pairs/s\n")
    assert out.count("\n") == 1
    assert "50 of 50 pairs (100 %)" in err
    pairs = blurgen.open_pairs("a.h5")
    assert (len(pairs), pairs.seed, pairs.recipe.name) == (50, 3, "mnist-motion")
    assert pairs.psf is not None


def test_make_passes_everything_on(run):
    Path("photos").mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(f"photos/{number}.png")
    arguments = "-d folder:photos -o a.h5 -r anime-box --copies 2 -s 9 --threads 1 --patch 16x12 --stride 10"
    code, _, _ = run("make", *arguments.split(), "--mode", "gray", "--quiet")
    assert code == 0
    header = blurgen.open_pairs("a.h5").header
    assert header.shape == (16, 12, 1)
    assert header.recipe.copies == 2
    assert header.seed == 9
    assert header.dataset_options == {"mode": "gray", "patch": [16, 12], "stride": [10, 10]}
    same = blurgen.make(
        "folder:photos", "b.h5", "anime-box", copies=2, seed=9, patch="16x12", stride=10, mode="gray"
    )
    assert (blurgen.open_pairs(same).blurred == blurgen.open_pairs("a.h5").blurred).all()
    code, _, _ = run("make", "-d", "folder:photos", "-o", "c.h5", "-r", "anime-box", "--resize", "8", "-q")
    assert code == 0
    assert blurgen.open_pairs("c.h5").header.shape == (8, 8, 3)


def test_make_takes_data_dir_and_split(run):
    arguments = ["--data-dir", shared("datasets"), "--split", "test", "--count", 100]
    code, out, _ = run("make", "--dataset", "mnist", "--out", "m.h5", *arguments)
    assert code == 0
    assert "100 pairs" in out
    assert blurgen.open_pairs("m.h5").header.dataset_options == {"split": "test"}
    code, out, _ = run("verify", "m.h5", "--data-dir", shared("datasets"), "--all")
    assert code == 0
    assert "all 100 pairs" in out


def test_quiet_says_nothing(run):
    assert run("make", "-d", "digits", "-o", "a.h5", "-n", 9, "--quiet") == (0, "", "")
    assert run("verify", "a.h5", "-q") == (0, "", "")


def test_make_overwrites_only_when_told(run):
    assert run("make", "-d", "digits", "-o", "a.h5", "-n", 9, "-q")[0] == 0
    code, _, err = run("make", "-d", "digits", "-o", "a.h5", "-n", 8, "-q")
    assert code == 1
    assert "--overwrite" in err
    assert run("make", "-d", "digits", "-o", "a.h5", "-n", 8, "-q", "--overwrite")[0] == 0
    assert len(blurgen.open_pairs("a.h5")) == 8


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_every_skipped_file_is_named(run, quiet):
    Path("photos").mkdir()
    Image.new("RGB", (9, 9)).save("photos/good.png")
    for name in ("bad1.png", "bad2.jpg"):
        Path("photos", name).write_bytes(b"no image")
    arguments = ["make", "-d", "folder:photos", "-o", "a.h5", "-r", "anime-box", *quiet]
    code, _, err = run(*arguments)
    assert code == 1
    assert "bad1.png" in err
    code, _, err = run(*arguments, "--skip-bad")
    assert code == 0
    assert [
        line for line in err.split("\n") if "skipped bad1.png: " in line or "skipped bad2.jpg: " in line
    ] == [line for line in err.split("\n") if "skipped" in line]
    assert err.count("skipped") == 2


def test_lines_of_progress_come_now_and_then_and_at_the_end(monkeypatch, capsys):
    clock = iter(range(1000))
    monkeypatch.setattr(cli.time, "perf_counter", lambda: next(clock))  # a second a call
    progress = console.Lines("pairs")
    for done in range(0, 21):
        progress(100 + done * 10, 300)
    lines = capsys.readouterr().err.strip().split("\n")
    assert lines == [
        "150 of 300 pairs (50 %), 10 pairs/s, 15 s left",
        "200 of 300 pairs (66 %), 10 pairs/s, 10 s left",
        "250 of 300 pairs (83 %), 10 pairs/s, 5 s left",
        "300 of 300 pairs (100 %), 10 pairs/s",
    ]
    assert progress.first == 100


def test_progress_without_any_work_left(capsys):
    progress = console.Lines("pairs")
    progress(7, 7)
    assert capsys.readouterr().err == "7 of 7 pairs (100 %)\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (61, "1:01 min"), (3661, "1:01:01 h")]
)
def test_clock(seconds, text):
    assert console.clock(seconds) == text


def test_on_a_terminal_there_is_a_bar():
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "blurgen", "make", "-d", "digits", "-o", "a.h5", "-n", "20000"],
        stderr=follower,
        stdout=subprocess.PIPE,
        env={**environment(), "TERM": "xterm"},
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    out, _ = done.communicate()
    os.close(leader)
    assert done.returncode == 0
    assert "━" in seen.decode(errors="replace")
    assert b"20000/20000" in seen
    assert b"pairs/s" in seen
    assert out.startswith(b"a.h5: 20,000 pairs")


def test_compiling_is_said_once():
    said = []

    def compiled(value):
        return value + 1

    with console.compilation_said(said.append, False):
        numba.njit(compiled)(1)
        numba.njit(compiled)(1.5)
    assert len(said) == 1
    assert said[0].startswith("compiling the loops for this processor")
    with console.compilation_said(said.append, True):
        numba.njit(compiled)(1)
    numba.njit(compiled)(1)
    assert len(said) == 1


def test_loading_compiled_loops_is_not_said(tmp_path, monkeypatch):
    """What lies in Numba's cache is loaded without a word."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    Path("loops.py").write_text(
        "import sys, numba\n"
        "from blurgen.console import compilation_said\n"
        "@numba.njit(cache=True)\n"
        "def loop(value):\n"
        "    return value + 1\n"
        "with compilation_said(print, False):\n"
        "    loop(1)\n"
    )
    assert "compiling" in process("loops.py").stdout
    assert process("loops.py").stdout == ""


# As the real thing, but in small chunks that take their time, so that there is something to interrupt.
SLOW = """
import sys, time
from blurgen import cli, maker

def slow(*arguments, remake=maker.remake):
    time.sleep(0.02)
    return remake(*arguments)

maker.remake = slow
maker._CHUNK_BYTES = 1 << 16
maker._CHECKPOINT_SECONDS = 0.1
sys.exit(cli.main(sys.argv[1:]))
"""


def test_ctrl_c_keeps_what_was_made_and_the_same_command_goes_on(run):
    arguments = ["make", "--dataset", "digits", "--count", "20000", "--seed", "4", "--out"]
    slow = subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments, "a.h5", "--threads", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    journal = Path("a.h5.journal")
    while slow.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.01)
    slow.send_signal(signal.SIGINT)
    out, err = slow.communicate()
    assert slow.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    last = err.strip().split("\n")[-1]
    kept = int(last.removeprefix("blurgen: interrupted: ").split()[0].replace(",", ""))
    assert 0 < kept < 20000
    assert last.endswith(
        f"interrupted: {kept:,} of 20,000 pairs are kept in a.h5.partial; the same command goes on from there"
    )
    assert sorted(path.name for path in Path().iterdir()) == ["a.h5.journal", "a.h5.partial"]

    code, out, _ = run(*arguments, "a.h5")
    assert code == 0
    assert f"({kept:,} were there already)" in out
    assert run(*arguments, "b.h5", "--quiet")[0] == 0
    assert Path("a.h5").read_bytes() == Path("b.h5").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["a.h5", "b.h5"]


def test_shards_are_made_and_finished(run):
    arguments = ["make", "-d", "digits", "-n", 400, "-s", 4]
    for number in (2, 1, 2):
        code, out, err = run(*arguments, "-o", "a.h5", "--shard", f"{number}/2")
        assert code == 0
        assert out.startswith(f"a.h5.partial: {166 if number == 1 else 234} pairs of shard {number}/2")
        assert out.endswith("; when all shards are made: blurgen finish a.h5\n")
    assert "(234 were there already)" in out
    code, out, err = run("finish", "a.h5")
    assert (code, err) == (0, "")
    assert out.startswith("a.h5: 400 pairs, ")
    assert run(*arguments, "-o", "b.h5", "-q")[0] == 0
    assert Path("a.h5").read_bytes() == Path("b.h5").read_bytes()
    assert run("finish", "a.h5") == (1, "", "blurgen: 'a.h5' is finished already\n")
    for text in ("3", "0/2", "3/2", "a/b", "1/", "-1/2"):
        code, out, err = run(*arguments, "-o", "c.h5", "--shard", text)
        assert (code, out, err.count("\n")) == (1, "", 1)
    assert sorted(path.name for path in Path().iterdir()) == ["a.h5", "b.h5"]


def test_ctrl_c_before_anything_is_made(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("blurgen.sources.open_source", interrupted)
    assert run("make", "-d", "digits", "-o", "a.h5", "-n", 9) == (130, "", "blurgen: interrupted\n")
    monkeypatch.setattr("blurgen.recipe.load_recipe", interrupted)
    assert run("recipes", "mnist-motion") == (130, "", "blurgen: interrupted\n")


# ---- info ----


def test_info_tells_every_attribute_and_parameter(run, made):
    code, out, err = run("info", made)
    assert (code, err) == (0, "")
    header = blurgen.open_pairs(made).header
    for name, value in header.attributes().items():
        assert name in out
        if name != "recipe":
            assert str(value) in out
    assert "28×28×1" in out
    assert "length: {uniform: [4, 6]}" in out
    for name in header.recipe.sample(header.recipe.draws(0, np.arange(1))):
        assert name in out
    assert any(block in out for block in "▁▂▃▄▅▆▇█")
    assert all(len(line) <= 100 for line in out.split("\n") if line.startswith(("0.", "1.", "label")))


def test_info_for_machines(run, made):
    code, out, _ = run("info", made, "--json")
    assert code == 0
    found = json.loads(out)
    pairs = blurgen.open_pairs(made)
    assert found["recipe"] == pairs.recipe.to_dict()
    assert found["bytes"] == made.stat().st_size
    assert found["shape"] == [28, 28, 1]
    assert (found["count"], found["seed"], found["dataset"], found["psf_size"]) == (60, 1, "digits", 7)
    length = found["params"]["1.motion.length"]
    assert length["count"] == 60
    assert length["min"] == pairs.params["1.motion.length"].min()
    assert length["max"] == pairs.params["1.motion.length"].max()
    assert sum(length["histogram"]["counts"]) == 60
    assert len(length["histogram"]["edges"]) == len(length["histogram"]["counts"]) + 1


def test_info_leaves_out_what_took_no_part(run):
    recipe = """
name: sometimes
stages:
  - maybe: {probability: 0.3, stages: [box: {size: {integers: [1, 9]}}]}
  - maybe: {probability: 0, stages: [motion: {length: 5, angle: 0}]}
"""
    Path("r.yaml").write_text(recipe)
    assert run("make", "-d", "digits", "-o", "a.h5", "-n", 200, "-r", "r.yaml", "-q")[0] == 0
    found = json.loads(run("info", "a.h5", "--json")[1])["params"]
    part = found["0.maybe.applied"]["histogram"]["counts"][1]
    assert 30 < part < 90
    assert found["0.maybe.0.box.size"]["count"] == part
    assert found["0.maybe.0.box.size"]["min"] >= 1
    assert found["1.maybe.0.motion.length"] == {"count": 0}
    rows = {
        line.split()[0]: line.split()[1] for line in run("info", "a.h5")[1].split("\n") if ".maybe." in line
    }
    assert rows["0.maybe.0.box.size"] == str(part)
    assert rows["0.maybe.applied"] == "all"
    assert rows["1.maybe.0.motion.length"] == "none"


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        ([2, 2, 2], 2, [3]),
        ([0, 1, 1, 3], 5, [1, 2, 0, 1]),
        ([0.5, 0.5], 17, [2]),
        (np.arange(160), 17, [10] * 16),
    ],
)
def test_histograms(values, edges, counts):
    found = cli._distribution(np.asarray(values))
    assert found.counts.tolist() == counts
    assert found.counts.size == 1 or found.edges.size == edges


# ---- show ----


def test_show_draws_a_sheet(run, made):
    code, out, err = run("show", made, "--out", "sheet.png", "--count", 5, "--start", 50, "--columns", 5)
    assert (code, err) == (0, "")
    with Image.open("sheet.png") as image:
        assert out == f"sheet.png: 5 pairs, {image.width}×{image.height} pixels\n"
        assert image.width > image.height
    assert run("show", made, "-o", "same.png", "--indices", "50,51,52,53,54", "--columns", 5)[0] == 0
    assert Path("same.png").read_bytes() == Path("sheet.png").read_bytes()
    assert "24 pairs" in run("show", made, "-o", "sheet.png")[1]
    assert "2 pairs" in run("show", made, "-o", "sheet.png", "--start", 58, "--scale", 2)[1]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--start", "60"], 1, "holds the pairs 0 … 59"),
        (["--indices", "5,60"], 1, "pair 60 is not in"),
        (["--indices", "5,,6"], 2, "numbers separated by commas"),
        (["--scale", "0"], 1, "scale 0"),
        (["--columns", "0"], 1, "columns 0"),
    ],
)
def test_show_refuses(run, made, options, code, message):
    found, _, err = run("show", made, "-o", "a.png", *options)
    assert found == code
    assert message in " ".join(err.split())
    assert not Path("a.png").exists()


# ---- verify ----


def test_verify_says_yes_or_names_the_row(run, made, tmp_path):
    code, out, _ = run("verify", made)
    assert code == 0
    assert "all 60 pairs are, byte for byte, what its header makes" in out
    assert "7 of 60 pairs were made again" in run("verify", made, "--sample", 7)[1]
    copy = tmp_path / "copy.h5"
    copy.write_bytes(made.read_bytes())
    flip(copy, "blurred", 31)
    code, out, err = run("verify", copy, "--all", "--quiet")
    assert (code, out) == (1, "")
    assert err.startswith("blurgen: ")
    assert "was damaged since it was made: blurred in rows 0–59" in err
    assert err.count("\n") == 1
    assert "all 60 pairs are right" in run("verify", made, "--sample", 0)[1]


def test_verify_repairs(run, made, tmp_path):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(made.read_bytes())
    flip(copy, "blurred", 31)
    code, out, err = run("verify", copy, "--repair")
    assert (code, out.count("\n")) == (0, 2)
    assert "repaired blurred in rows 0–59" in out
    assert "all 60 pairs are, byte for byte" in out
    assert copy.read_bytes() == made.read_bytes()
    assert run("verify", copy, "--repair", "--quiet") == (0, "", "")
    copy.write_bytes(made.read_bytes()[:9999])
    code, out, err = run("verify", copy, "--repair")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "cannot be repaired, only made again" in err


def test_verify_of_another_source(run, made):
    code, _, err = run("verify", made, "--dataset", "mnist", "--data-dir", shared("datasets"))
    assert code == 1
    assert "does not hold the images" in err


# ---- psf ----


def test_psf_prints_numbers(run):
    code, out, err = run("psf", "motion", "--length", 3)
    assert (code, err) == (0, "")
    assert out == "length 3  angle 0°\n0.3333 0.3333 0.3333\n"
    out = run("psf", "gaussian", "--size", "1x3,3", "--sigma", 0.5)[1]
    assert out.startswith("size 1×3  sigma 0.5\n0.1065 0.7870 0.1065\n\nsize 3  sigma 0.5\n0.0113 ")
    assert "·" in run("psf", "motion", "--length", 5, "--angle", 45)[1]


def test_psf_draws_grids(run):
    lists = ["--length", "3,5,9", "--angle", "0,30,60,90"]
    assert run("psf", "motion", *lists, "-o", "grid.png")[1].startswith("grid.png: 12 PSFs, ")
    assert run("psf", "disk", "--radius", "2.5", "--out", "one.png")[1].startswith("one.png: 1 PSF, ")
    assert run("psf", "box", "--size", "2,3x5", "--out", "two.png", "--columns", 1)[0] == 0
    with Image.open("grid.png") as grid, Image.open("one.png") as one, Image.open("two.png") as two:
        assert grid.width > 3 * one.width
        assert two.height > 1.5 * one.height
        assert grid.getextrema() == ((0, 255),) * 3


def test_psf_of_a_recipe_and_of_a_file(run):
    code, out, _ = run("psf", "--recipe", "mnist-motion", "--count", 5, "--seed", 2, "-o", "recipe.png")
    assert code == 0
    assert "5 PSFs" in out
    out = run("psf", "-r", "mnist-motion", "-n", 2)[1]
    assert out.startswith("#0  quarters 0  length ")
    np.savez("kernels.npz", a=np.eye(3), b=np.ones((1, 5)))
    assert "2 PSFs" in run("psf", "--file", "kernels.npz", "-o", "file.png")[1]
    assert run("psf", "--file", "kernels.npz")[1].count("#") == 2
    Path("noise.yaml").write_text("name: noise\nstages: [gaussian_noise: {sigma: 3}]")
    code, _, err = run("psf", "--recipe", "noise.yaml")
    assert code == 1
    assert "'noise' has no PSF" in err


# ---- recipes ----


def test_recipes_lists_the_built_in_ones(run):
    code, out, err = run("recipes")
    assert (code, err) == (0, "")
    for name, recipe in blurgen.recipes().items():
        (line,) = (line for line in out.split("\n") if line.split()[:1] == [name])
        assert f" {recipe.copies} " in line
        assert not recipe.stages or recipe.stages[0].kind in line


@pytest.mark.parametrize("name", sorted(blurgen.recipes()))
def test_a_printed_recipe_loads_again(run, name):
    code, out, _ = run("recipes", name)
    assert code == 0
    Path("my.yaml").write_text(out)
    assert blurgen.load_recipe("my.yaml") == blurgen.recipes()[name]
    assert run("recipes", "my.yaml")[1] == out


def test_a_recipe_file_is_checked(run):
    Path("my.yaml").write_text("name: mine\nstages: [motion: {lenght: 5, angle: 3}]")
    code, _, err = run("recipes", "my.yaml")
    assert code == 1
    assert "did you mean 'length'" in err
    Path("my.json").write_text(json.dumps({"name": "mine", "stages": [{"box": {"size": 3}}]}))
    assert yaml.safe_load(run("recipes", "my.json")[1])["stages"] == [
        {"box": {"size": 3, "border": "replicate"}}
    ]


def test_the_schema_is_json(run):
    code, out, _ = run("recipes", "--schema")
    assert code == 0
    assert json.loads(out) == blurgen.Recipe.json_schema()
