"""What docs/integrations.md says is so: its Python runs, its links lead somewhere."""

import importlib.util
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from strategies import texture

import blurgen
from blurgen import cli

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Dataset  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
DOCS = Path(__file__).parents[1] / "docs"
GUIDE = (DOCS / "integrations.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^##+ (.+?)\n(.*?)(?=^##|\Z)", GUIDE, re.M | re.S))


def run(section, **given):
    """Run a section's blocks one after another; what they define."""
    for block in re.findall(r"^```python\n(.*?)^```", SECTIONS[section], re.M | re.S):
        exec(compile(block, f"docs/integrations.md, {section}", "exec"), given)
    return given


def test_no_block_is_left_out():
    with_python = {name for name, text in SECTIONS.items() if "```python" in text}
    tested = {
        "Arrays",
        "PyTorch",
        "torchvision",
        "kornia",
        "Pairs without end",
        "albumentations",
        "Hugging Face",
    }
    assert with_python == tested


def test_arrays(capsys):
    made = run("Arrays")
    assert capsys.readouterr().out.startswith("(64, 28, 28, 1) ")
    assert made["again"].params["1.motion.length"] == made["pairs"].params["1.motion.length"][3]


def test_pytorch():
    made = run("PyTorch")
    assert made["blurred"].dtype == made["sharp"].dtype == torch.float32
    assert [module.index for module in made["blur"]] == [8, 8]


@pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="torchvision is not installed")
def test_torchvision():
    from PIL import Image

    photo = Image.fromarray(texture(1, 80, 90, 3)[0])
    made = run("torchvision", torch=torch, photo=photo, Degrade=run("PyTorch")["Degrade"])
    assert made["blurred"].shape == (3, 64, 64)


def test_kornia():
    pytest.importorskip("kornia")
    assert run("kornia", torch=torch, Degrade=run("PyTorch")["Degrade"])["blurred"].shape == (4, 3, 64, 64)


def test_pairs_without_end():
    made = run("Pairs without end")
    assert (made["step"], made["blurred"].shape) == (3, (64, 1, 28, 28))


class Chained(Dataset):
    """One image, through a chain of transforms."""

    def __init__(self, chain):
        self.chain = chain

    def __len__(self):
        return 4

    def __getitem__(self, row):
        return self.chain(image=np.full((16, 16, 3), 128, np.uint8))["image"]


def test_albumentations():
    album = pytest.importorskip("albumentations")
    from blurgen.albumentations import Degrade

    dataset = Chained(album.Compose([Degrade("imagenet-c-gaussian-noise-3", p=1)]))
    made = run("albumentations", dataset=dataset)
    # what the guide warns of, and what it advises
    for loader, others in ((DataLoader(dataset, num_workers=2), 2), (made["loader"], 4)):
        assert len({image.numpy().tobytes() for image in loader}) == others


def test_folders_for_other_trainers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = re.search(r"```\n(blurgen .*?)```", SECTIONS["BasicSR, NAFNet, Restormer"], re.S)[1].splitlines()
    for line in lines:
        assert cli.main(line.split()[1:]) == 0
    assert len(list(Path("pairs-folder/input").iterdir())) == 100


def test_hugging_face(capsys):
    datasets = pytest.importorskip("datasets")
    images = texture(5, 24, 28, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = datasets.Features({"image": datasets.Image(mode="RGB")})
        dataset = datasets.Dataset.from_dict({"image": list(images)}, features=features)
        made = run("Hugging Face", blurgen=blurgen, dataset=dataset)
    assert capsys.readouterr().out == "(24, 28, 3)\n"
    wanted = blurgen.degrade(images, "realistic", seed=1).blurred
    np.testing.assert_array_equal(np.stack(made["dataset"][:]["blurred"]), wanted)


def test_links_lead_somewhere():
    def anchor(title):
        return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")

    for path, mark in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", GUIDE):
        target = DOCS / path if path else DOCS / "integrations.md"
        assert target.exists(), path
        if mark:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            assert mark in map(anchor, titles), mark
