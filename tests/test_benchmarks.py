"""The groups that train, on little: what they compare is the same work, and their figures add up."""

from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

import blurgen

torch = pytest.importorskip("torch")

from torch.autograd import DeviceType  # noqa: E402

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import flops, profiling  # noqa: E402
from benchmarks.contestants.loaders import RowDataset, loader, moved  # noqa: E402
from benchmarks.groups import Options, arithmetic, feeding, gpu, steps  # noqa: E402
from benchmarks.report import Table  # noqa: E402
from benchmarks.timing import MismatchError  # noqa: E402
from trainers.models import build  # noqa: E402
from trainers.options import Options as Settings  # noqa: E402

CPU = torch.device("cpu")
QUICK = Options(quick=True, threads=(1,), rounds=1)
# workers are forked, as DataLoaders do it by default before Python 3.14
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return blurgen.make("digits", tmp_path_factory.mktemp("pairs") / "pairs.h5", "mnist-motion", count=60)


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_feeding():
    table = feeding.feeding(QUICK)
    assert len(table.rows) == 6
    assert {record["library"] for record in table.records} == {
        "trainers.data.Feeder",
        "DataLoader over h5py",
        "DataLoader over blurgen.torch.PairDataset",
    }
    assert all(record["per_second"] > 0 for record in table.records)
    assert table.shortfalls() == []  # a quick run compares with no floor


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_come_as_they_are_in_the_file(path, workers):
    batches = loader(RowDataset(path), 4, workers, CPU, shuffled=None, rows=range(7, 19))
    pairs = blurgen.open_pairs(path)
    seen = list(moved(batches, CPU))
    assert len(seen) == 3
    for start, (blurred, sharp) in zip((7, 11, 15), seen, strict=True):
        for tensor, images in ((blurred, pairs.blurred), (sharp, pairs.sharp)):
            wanted = np.moveaxis(images[start : start + 4], -1, 1) / np.float32(255)
            torch.testing.assert_close(tensor, torch.from_numpy(wanted))


def test_passes_that_are_not_the_file_are_told(path):
    batches = loader(RowDataset(path), 4, 0, CPU, shuffled=20, rows=range(60))
    assert feeding._checked("it", path, 4, lambda: moved(batches, CPU)) == 20
    with pytest.raises(MismatchError, match="a batch of 4 pairs, 5 are wanted"):
        feeding._checked("it", path, 5, lambda: moved(batches, CPU))
    twice = loader(RowDataset(path), 4, 0, CPU, shuffled=None, rows=[1, 2, 3, 4, 5, 6, 7, 1])
    with pytest.raises(MismatchError, match="not in the file, or came before"):
        feeding._checked("it", path, 4, lambda: moved(twice, CPU))
    exchanged = [(sharp, blurred) for blurred, sharp in moved(batches, CPU)]
    with pytest.raises(MismatchError, match="not in the file"):
        feeding._checked("it", path, 4, lambda: iter(exchanged))


def test_steps():
    table = steps.steps(QUICK)
    ours, plain = table.records[:2]
    assert (ours["library"], plain["library"]) == ("trainers.loop.train", "DataLoader over h5py")
    assert ours["per_second"] > 0
    assert plain["per_second"] > 0
    assert table.shortfalls() == []


def test_a_loop_that_does_other_work_is_told(path, monkeypatch):
    steps._check(path, 8, CPU)
    monkeypatch.setattr(steps, "_LR", 5e-2)  # of the plain loop alone: the settings hold theirs
    settings = steps._settings
    monkeypatch.setattr(
        steps, "_settings", lambda *args, **more: settings(*args, **more).with_values(lr=5e-4)
    )
    with pytest.raises(MismatchError, match="the plain loop's loss is"):
        steps._check(path, 8, CPU)


def test_arithmetic():
    table = arithmetic.arithmetic(QUICK)
    shares = {record["case"]: record["figure"] for record in table.records}
    networks = {case.partition(": ")[0] for case in shares}
    assert len(networks) == 3
    for network in networks:
        own = {case.partition(": ")[2]: share for case, share in shares.items() if case.startswith(network)}
        assert own["**arithmetic**"] + own["**waiting for data**"] + own["the rest"] == pytest.approx(100)
        parts = [share for name, share in own.items() if name.startswith("— of which aten::")]
        assert len(parts) == 3
        assert 0 < sum(parts) <= own["**arithmetic**"]
        assert own["— of which calling operators, at most"] > 0
    assert table.shortfalls() == []


def test_the_gpu_group_on_the_cpu():
    table = gpu.measured(QUICK, CPU)
    cases = gpu.cases(quick=True)
    figures = {record["case"]: record["figure"] for record in table.records}
    for case in cases:
        own = {k.removeprefix(f"{case.name}: "): v for k, v in figures.items() if k.startswith(case.name)}
        assert own["**images/s**"] > 0
        assert own["**model FLOPs, % of the peak**"] > 0
        assert own["waiting for data, % of a step"] >= 0
        assert own["drawing blur online, % of a step"] < 100
        parts = [share for name, share in own.items() if name.startswith("— of which `aten::")]
        assert 0 < sum(parts) <= 100 + 1e-9
    assert table.shortfalls() == []


def test_without_a_gpu_the_table_and_the_page_say_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main(["--quick", "--only", "gpu", "--page", str(tmp_path / "page.md")]) == 0
    printed = capsys.readouterr().out
    assert "## gpu: no GPU was at hand, so nothing was measured\n" in printed
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == printed


def test_without_pytorch_the_table_says_so(monkeypatch, capsys):
    monkeypatch.setattr(command.machine, "installed", lambda name: name != "torch" and bool(find_spec(name)))
    assert command.main(["--quick", "--only", "steps"]) == 0
    assert "## steps: PyTorch is not installed, so nothing was measured\n" in capsys.readouterr().out


def test_floors_that_are_missed_are_told():
    table = Table("arithmetic", "…", ("what", "% of a step", "wanted", "reached", "how"))
    table.add_absolute("a", 94.0, "94.00", ("≥", 95.0))
    table.add_absolute("b", 2.5, "2.50", ("≤", 2.0))
    table.add_absolute("c", 1.5, "1.50", ("≤", 2.0))
    assert [row[3] for row in table.rows] == ["**no**", "**no**", "yes"]
    assert table.shortfalls() == ["arithmetic: a: 94, wanted 95", "arithmetic: b: 2.5, wanted 2"]


# ---- arithmetic that is counted ----


def test_flops_in_closed_form():
    settings = Settings(model="cnn-7-5-3", model_args={"width": 6})
    products = 28 * 20 * (49 * 6 + 25 * 36 + 9 * 6)
    assert flops.step_flops(settings, (28, 20, 1)) == 3 * 2 * products


def test_flops_of_grouped_convolutions():
    """NAFNet's, each convolution by itself: its weights, once for each pixel that it makes."""
    arguments = {"width": 4, "encoder": [1, 2], "middle": 1, "decoder": [1, 1]}
    network, products = build("nafnet", 3, **arguments), 0

    def count(layer, _, made):
        nonlocal products
        products += layer.weight.numel() * made.shape[-2] * made.shape[-1]

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 16, 24))
    settings = Settings(model="nafnet", model_args=arguments)
    assert flops.step_flops(settings, (16, 24, 3)) == 3 * 2 * products


def test_peaks(monkeypatch):
    monkeypatch.setattr(flops, "cpu_model", lambda: "NVIDIA H100 80GB HBM3")
    most, source = flops.peak(CPU, 32)
    assert most == 989e12
    assert source == "the 989 TFLOP/s that the maker gives the NVIDIA H100 80GB HBM3"
    # a part of one is another device
    monkeypatch.setattr(flops, "cpu_model", lambda: "NVIDIA H100 80GB HBM3 MIG 1g.10gb")
    most, source = flops.peak(CPU, 32)
    assert 0 < most < 1e15
    assert source.endswith("of a product of two 32×32 matrices on the NVIDIA H100 80GB HBM3 MIG 1g.10gb")


def test_kernels_of_a_gpu_count_once(monkeypatch):
    """Operators bear the time of the kernels that they start, and ranges that of all within them."""

    def event(key, device_type, micros, is_user_annotation=False):
        return SimpleNamespace(
            key=key,
            device_type=device_type,
            self_device_time_total=micros,
            is_user_annotation=is_user_annotation,
        )

    class Profile:
        def __init__(self, activities):
            assert torch.profiler.ProfilerActivity.CUDA in activities

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def key_averages(self):
            return [
                event("aten::mm", DeviceType.CPU, 3e6),
                event("copy", DeviceType.CUDA, 1e6),
                event("gemm", DeviceType.CUDA, 3e6),
                event("Optimizer.step", DeviceType.CUDA, 4e6, True),
            ]

    monkeypatch.setattr(profiling, "profile", Profile)
    monkeypatch.setattr(profiling, "settle", lambda _: None)
    found = profiling.operators(lambda: None, torch.device("cuda"))
    assert found == {"gemm": pytest.approx(3.0), "copy": pytest.approx(1.0)}


def test_operators_are_told_longest_first():
    images = torch.ones(1, 8, 64, 64)
    weights = torch.ones(8, 8, 5, 5)
    found = profiling.operators(lambda: [torch.nn.functional.conv2d(images, weights).relu()], CPU)
    assert "aten::relu" in found
    assert any("convolution" in name for name in found)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(name.startswith("aten::") for name in found)
