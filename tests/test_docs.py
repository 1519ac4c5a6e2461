"""What the pages say is so: their Python runs, their commands exist, their links and messages are real."""

import ast
import contextlib
import importlib.util
import io
import os
import re
import warnings
from pathlib import Path

import documents
import numpy as np
import pytest
import yaml
from strategies import texture

import blurgen

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Dataset  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
WITH_PYTHON = [
    page for page in documents.PAGES if any(b.language == "python" for b in documents.blocks(page))
]
RUN = [
    page
    for page in documents.PAGES
    if any(b.language == "python" or b.marked("run") is not None for b in documents.blocks(page))
]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Pages write files."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _as_before():
    """Arithmetic on one thread, and networks that pages register forgotten after."""
    from trainers.models import MODELS

    networks, count = dict(MODELS), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)
    MODELS.clear()
    MODELS.update(networks)


# ---- what pages take as given, and what must come of them, by page and section ----


class Chained(Dataset):
    """One image, through a chain of transforms."""

    def __init__(self, chain):
        self.chain = chain

    def __len__(self):
        return 4

    def __getitem__(self, row):
        return self.chain(image=np.full((16, 16, 3), 128, np.uint8))["image"]


def photos(names):
    from PIL import Image

    Path("photos").mkdir()
    for number, image in enumerate(texture(2, 96, 100, 3)):
        Image.fromarray(image).save(f"photos/{number}.png")


def photo(names):
    from PIL import Image

    names["photo"] = Image.fromarray(texture(1, 80, 90, 3)[0])


def chained(names):
    album = pytest.importorskip("albumentations")
    from blurgen.albumentations import Degrade

    names["dataset"] = Chained(album.Compose([Degrade("imagenet-c-gaussian-noise-3", p=1)]))


def rows(names):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(mode="RGB")})
    names["dataset"] = datasets.Dataset.from_dict({"image": list(texture(5, 24, 28, 3))}, features=features)


def pair_file(names):
    blurgen.make("digits", "pairs.h5", count=128)
    names["device"] = "cpu"


def twelve_pairs(names):
    blurgen.make("digits", "pairs.h5", count=12, seed=3)  # which the page makes itself further below


def batches(names):
    images = blurgen.open_source("shapes", size=64).read(0, 4)
    names["batches"] = [(0, torch.from_numpy(images).permute(0, 3, 1, 2))]


def negative(names):
    from blurgen.stages.base import ImageStage

    names["Negative"] = type(
        "Negative", (ImageStage,), {"__doc__": "None.", "kind": "negative", "__module__": "docs"}
    )


GIVEN = {
    ("docs/pair-file.md", "Checksums"): twelve_pairs,
    ("docs/photographs.md", "Own photographs"): photos,
    ("docs/integrations.md", "torchvision"): photo,
    ("docs/integrations.md", "albumentations"): chained,
    ("docs/integrations.md", "Hugging Face"): rows,
    ("docs/gpu.md", "A pair file as a dataset"): pair_file,
    ("docs/gpu.md", "A recipe on the GPU"): batches,
    ("docs/gpu.md", "Stages of one's own"): negative,
}


def forgotten(made, said):
    Path("pairs.h5").unlink()


def arrays(made, said):
    assert said.startswith("(64, 28, 28, 1) ")
    assert made["again"].params["1.motion.length"] == made["pairs"].params["1.motion.length"][3]


def floats(made, said):
    assert made["blurred"].dtype == made["sharp"].dtype == torch.float32
    assert [module.index for module in made["blur"]] == [8, 8]


def cropped(made, said):
    assert made["blurred"].shape == (3, 64, 64)


def augmented(made, said):
    assert made["blurred"].shape == (4, 3, 64, 64)


def endless(made, said):
    assert (made["step"], made["blurred"].shape) == (3, (64, 1, 28, 28))


def own_seeds(made, said):
    # what the page warns of, and what it advises
    for loader, others in ((DataLoader(made["dataset"], num_workers=2), 2), (made["loader"], 4)):
        assert len({image.numpy().tobytes() for image in loader}) == others


def exported(made, said):
    assert len(list(Path("pairs-folder/input").iterdir())) == 100


def rows_blurred(made, said):
    assert said == "(24, 28, 3)\n"
    wanted = blurgen.degrade(texture(5, 24, 28, 3), "realistic", seed=1).blurred
    np.testing.assert_array_equal(np.stack(made["dataset"][:]["blurred"]), wanted)


CHECKED = {
    ("docs/pair-file.md", "Checksums"): forgotten,
    ("docs/integrations.md", "Arrays"): arrays,
    ("docs/integrations.md", "PyTorch"): floats,
    ("docs/integrations.md", "torchvision"): cropped,
    ("docs/integrations.md", "kornia"): augmented,
    ("docs/integrations.md", "Pairs without end"): endless,
    ("docs/integrations.md", "albumentations"): own_seeds,
    ("docs/integrations.md", "BasicSR, NAFNet, Restormer"): exported,
    ("docs/integrations.md", "Hugging Face"): rows_blurred,
}


# ---- all blocks ----


def run_commands(block):
    """Run a block's commands, with the words that its mark replaces."""
    instead = dict(pair.split("=") for pair in (block.marked("run with") or "").split())
    for line in block.code.splitlines():
        for program, arguments in documents.commands(line):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                assert program.main([instead.get(each, each) for each in arguments]) == 0, line
            if " > " in line:
                Path(documents.shell_words(line)[-1]).write_text(said.getvalue(), encoding="utf-8")


def can_run(block):
    if block.marked("not run") is not None:
        return False
    module = block.marked("needs")
    return module is None or importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("page", RUN)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, capsys):
    names = {"__name__": "docs"}
    found = documents.blocks(page)
    sections = list(dict.fromkeys(block.section for block in found))
    with warnings.catch_warnings():
        if "Hugging Face" in sections or page == "docs/export.md":
            warnings.simplefilter("ignore")  # of datasets and webdataset
        for section in sections:
            here = [
                block
                for block in found
                if block.section == section
                and (block.language == "python" or block.marked("run") is not None)
                and can_run(block)
            ]
            if not here:
                continue
            if (page, section) in GIVEN:
                GIVEN[page, section](names)
            capsys.readouterr()
            said = ""
            for block in here:
                if block.language == "python":
                    exec(compile(block.code, f"{page}:{block.line}", "exec"), names)
                else:
                    run_commands(block)
                out = capsys.readouterr().out
                if block.language == "python" and block.output is not None:
                    assert out == block.output, f"{page}:{block.line}"
                said += out
            if (page, section) in CHECKED:
                CHECKED[page, section](names, said)


def test_what_is_given_belongs_to_a_section():
    for page, section in (*GIVEN, *CHECKED):
        assert section in {block.section for block in documents.blocks(page)}, (page, section)


def test_blocks_that_do_not_run_say_why():
    for page in documents.PAGES:
        for block in documents.blocks(page):
            if block.mark:
                assert re.match(r"not run: \w|needs \w+$|run( with( \S+=\S+)+)?$", block.mark), (
                    page,
                    block.line,
                )


@pytest.mark.parametrize("page", documents.PAGES)
def test_the_commands_of_a_page_exist(page, monkeypatch):
    monkeypatch.chdir(documents.ROOT)
    from trainers import imports

    monkeypatch.setattr(imports, "_import_file", lambda path: None)  # files that pages make up
    for block in documents.blocks(page):
        if block.language in ("", "bash") and block.marked("not run") is None:
            for program, arguments in documents.commands(block.code):
                options = documents.parsed(program, arguments)
                recipe = options.get("recipe")
                assert not recipe or re.search(r"[.$]", recipe) or recipe in blurgen.recipes(), (
                    page,
                    block.line,
                )


@pytest.mark.parametrize("page", documents.PAGES)
def test_the_recipes_of_a_page_are_recipes(page):
    for block in documents.blocks(page):
        if block.language == "yaml" and re.search("^stages:", block.code, re.M):
            blurgen.Recipe.from_dict({"name": "unnamed", **yaml.safe_load(block.code)})


def anchors(page):
    """The marks of a page's headings, as GitHub and MyST make them; of what it includes, too."""
    whole = documents.text(page)
    for name in re.findall(r"^```\{include\} (\S+)$", whole, re.M):
        whole += (documents.ROOT / page).parent.joinpath(name).read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", whole, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", documents.PAGES)
def test_links_lead_somewhere(page):
    plain = re.sub(r"^```.*?^```$", "", documents.text(page), flags=re.M | re.S)
    for place, mark in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", plain):
        if "://" in place or "generated/" in place:  # drawn when the site is built
            continue
        target = (
            Path(os.path.normpath((documents.ROOT / page).parent / place)) if place else documents.ROOT / page
        )
        assert target.exists(), (page, place)
        if mark:
            assert mark in anchors(target.relative_to(documents.ROOT).as_posix()), (page, place, mark)


# ---- names and messages ----


def messages():
    """Every text of the sources, with … for what is put in; a program's whole texts are one string each."""

    def written(node):
        if isinstance(node, ast.JoinedStr):
            return "".join(written(part) for part in node.values)
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"

    for folder in ("blurgen", "trainers"):
        for path in (documents.ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr | ast.Constant):
                    yield re.sub(r"\{\w+\}", "…", written(node))


def test_quoted_messages_are_in_the_sources():
    quoted = re.findall(r"^- `(.+?)`:", documents.text("docs/troubleshooting.md"), re.M)
    assert len(quoted) > 15
    whole = "\n".join(messages())
    assert [message for message in quoted if message not in whole] == []


def tables():
    """Library → what the first column of its table names, and what the second does."""
    page = documents.text("docs/coming-from.md")
    for library, section in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.M | re.S):
        rows = re.findall(r"^\| (.+?) \| (.+?) \| .*\|$", section, re.M)[1:]
        yield (
            library,
            *([re.findall(r"`([^`]+)`", each) for each in column] for column in zip(*rows, strict=True)),
        )


def test_our_names_exist():
    from blurgen.stages import KINDS

    others = {
        "Compose",
        "stages",
        "replicate",
        "reflect",
        "wrap",
        "constant",
        'border="wrap"',
        "mat:FILE#VARIABLE",
        "imagenet-c-NAME-SEVERITY",
        "python -m trainers.evaluate",
        "blurgen.torch.Degrade",
    }
    for library, _, ours in tables():
        for name in (name for row in ours for name in row if name not in others):
            home, _, last = re.sub(r"[(:].*", "", name).rpartition(".")
            if home:
                assert last in (blurgen.psf.__all__ if home == "psf" else blurgen.__all__), (library, name)
            else:
                assert last in KINDS, (library, name)


@pytest.mark.parametrize("library", ["albumentations", "kornia"])
def test_their_names_exist(library):
    pytest.importorskip(library)
    for theirs in (theirs for name, theirs, _ in tables() if name == library):
        for name in (name for row in theirs for name in row):
            home, _, last = name.rpartition(".")
            module = importlib.import_module(f"{library}.{home}" if home else library)
            assert hasattr(module, last), name


def test_kornia_s_filters_are_those():
    filters = pytest.importorskip("kornia.filters")
    image = np.random.default_rng(1).random((1, 32, 40)).astype(np.float32)
    theirs = torch.from_numpy(image)[None]
    psf = np.random.default_rng(2).random((5, 5)).astype(np.float32)
    psf /= psf.sum()
    pairs = [
        (filters.gaussian_blur2d(theirs, (9, 9), (1.5, 1.5), "reflect"), blurgen.psf.gaussian(9, 1.5)),
        (filters.box_blur(theirs, 5, "reflect"), blurgen.psf.box(5)),
        (filters.filter2d(theirs, torch.from_numpy(psf)[None], "reflect", behaviour="conv"), psf),
        (filters.filter2d(theirs, torch.from_numpy(psf)[None], "reflect"), psf[::-1, ::-1]),
    ]
    for other, kernel in pairs:
        ours = blurgen.convolve(image, np.ascontiguousarray(kernel), border="mirror")
        np.testing.assert_allclose(ours[0], other[0, 0].numpy(), atol=2e-5)


# ---- what is made when the site is built ----


@pytest.fixture
def building(monkeypatch):
    """Imports a module of the folder that builds the site."""
    monkeypatch.syspath_prepend(str(documents.ROOT / "docs"))
    return lambda name: importlib.import_module(f"building.{name}")


def test_figures_are_drawn_and_shown(building):
    figures = building("figures").FIGURES
    whole = "".join(map(documents.text, documents.PAGES))
    assert set(re.findall(r"generated/figures/([\w-]+)\.png", whole)) == set(figures)
    drawn = {name: draw() for name, draw in figures.items()}
    assert drawn["jpeg"].axes[-1].get_title() == "difference: at most 0"
    line, points, _ = drawn["noise"].axes[0].lines
    np.testing.assert_allclose(points.get_ydata(), line.get_ydata(), rtol=0.06)


def test_every_command_and_option_has_its_line(building, tmp_path):
    commands = building("commands")
    commands.write(tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    for name, command in commands.found().items():
        section = re.search(rf"^## `{re.escape(name)}`\n(.*?)(?=^## |\Z)", page, re.M | re.S)[1]
        for option in (option for each in command.params for option in each.opts if option.startswith("--")):
            assert option in section, (name, option)


def test_links_to_the_repository_lead_to_pages(building):
    mended = building("links").mended
    docs = documents.ROOT / "docs"
    assert mended("[a](../README.md#b)", docs, docs) == "[a](project/overview.md#b)"
    assert mended("[a](docs/noise.md)", documents.ROOT, docs / "project") == "[a](../noise.md)"
    assert (
        mended("[a](https://b.c/README.md) x[0](none)", docs, docs) == "[a](https://b.c/README.md) x[0](none)"
    )
    for page in building("links").PAGES.values():
        assert page.startswith("generated/") or (docs / page).is_file()


@pytest.mark.parametrize("module", ["blurgen", "blurgen.psf", "blurgen.torch"])
def test_public_names_are_in_the_reference(module):
    page = documents.text("docs/reference/python.md")
    listed = re.search(rf"currentmodule:: {re.escape(module)}\n(.*?)```", page, re.S)[1]
    wanted = set(importlib.import_module(module).__all__) - {"__version__", "psf"}
    assert set(re.findall(r"^   (\w+)$", listed, re.M)) == wanted
