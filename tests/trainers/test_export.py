"""Exported networks give what the network gives, on images of any size."""

import numpy as np
import pytest
import torch

from trainers import export as module
from trainers.checkpoint import load_network, save_weights
from trainers.errors import TrainerError
from trainers.export import export, main
from trainers.models import MODELS, build

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ARGUMENTS = {
    "cnn-7-5-3": '{"width": 4}',
    "moussaka": '{"width": 8}',
    "nafnet": '{"width": 4, "encoder": [1, 1], "decoder": [1, 1]}',
}
# the large one is left to a longer run
NETWORKS = [
    name for name in sorted(MODELS) if name not in ("resnet-encdec", "srcnn-9-3-1-5", "srcnn-9-1-1-1-5")
]


def run_of(path, name, channels=None):
    import json

    arguments = ARGUMENTS.get(name, "{}")
    torch.manual_seed(1)
    network = build(name, channels or MODELS[name].only_channels or 1, **json.loads(arguments))
    for module_ in network.modules():  # so that statistics and scales are not those of a fresh network
        if isinstance(module_, torch.nn.BatchNorm2d):
            module_.running_mean.normal_(0, 0.3)
            module_.running_var.uniform_(0.5, 2)
    for weight_name, weight in network.named_parameters():
        if weight_name.endswith(("beta", "gamma")):
            torch.nn.init.normal_(weight, std=0.5)
    save_weights(path, network, arguments=arguments)
    return path


def images(network, count, height, width):
    return torch.rand(count, network.channels, height, width, generator=torch.Generator().manual_seed(height))


def sizes(network):
    s = network.stride
    return [network.size] if network.size else [(s + 1, 2 * s + 3), (6 * s, 4 * s), (37, 50)]


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_gives_the_same_at_any_size(tmp_path, name):
    run = run_of(tmp_path / "w.safetensors", name)
    done = export(run, tmp_path / "m.onnx")
    assert done.kind == "ONNX"
    assert 0 <= done.difference <= 1e-4
    network, _ = load_network(run)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for height, width in sizes(network):
        for count in (1, 3):
            given = images(network, count, height, width)
            (made,) = session.run(None, {"blurred": given.numpy()})
            with torch.no_grad():
                np.testing.assert_allclose(made, network.restore(given).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["cnn-7-5-3", "nafnet", "transform-net", "moussaka"])
def test_torch_export_gives_the_same_at_any_size(tmp_path, name):
    run = run_of(tmp_path / "w.safetensors", name)
    assert export(run, tmp_path / "m.pt2").kind == "torch.export"
    network, _ = load_network(run)
    program = torch.export.load(tmp_path / "m.pt2").module()
    for height, width in sizes(network):
        for count in (1, 3):
            given = images(network, count, height, width)
            with torch.no_grad():
                torch.testing.assert_close(program(given), network.restore(given), atol=1e-5, rtol=0)


def test_what_an_onnx_file_says_of_itself(tmp_path):
    export(run_of(tmp_path / "w.safetensors", "cnn-7-5-3", channels=3), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model)
    dims = {}
    for value in (*model.graph.input, *model.graph.output):
        dims[value.name] = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
    expected = ["batch", 3, "height", "width"]
    assert dims == {"blurred": expected, "restored": expected}
    said = {item.key: item.value for item in model.metadata_props}
    assert said["kind"] == "cnn-7-5-3"
    assert said["sizes"] == "images of any size, 3 channels"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "w.safetensors"]


def test_a_graph_that_differs_is_not_kept(tmp_path, monkeypatch):
    run = run_of(tmp_path / "w.safetensors", "cnn-7-5-3")
    for wrong in (0.5, float("nan")):
        monkeypatch.setattr(module, "_onnx_runner", lambda path, wrong=wrong: lambda given: given * wrong)
        with pytest.raises(TrainerError, match=r"the exported network differs from .* of full scale"):
            export(run, tmp_path / "m.onnx")
        assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_command_and_its_errors(tmp_path, capsys):
    run = run_of(tmp_path / "w.safetensors", "cnn-7-5-3")
    assert main([str(run), "--out", str(tmp_path / "m.pt2")]) == 0
    said = capsys.readouterr().out
    assert "cnn-7-5-3 as torch.export, images of any size, 1 channel; differs from PyTorch by" in said
    cases = {
        (str(run), "--out", str(tmp_path / "m.pt2")): "m.pt2' exists: name another file, or replace it",
        (str(run), "--out", str(tmp_path / "m.pb")): "m.pb': a name that ends in .onnx or .pt2 is needed",
        ("nowhere", "--out", str(tmp_path / "m.onnx")): "there is no run 'nowhere'",
        (str(run), "--out", str(run / "m.onnx")): "m.onnx' cannot be written",
    }
    for arguments, message in cases.items():
        assert main(list(arguments)) == 1
        said = capsys.readouterr()
        assert said.err.startswith("export: ")
        assert message in said.err
        assert said.err.count("\n") == 1
    assert main([str(run)]) == 2
    capsys.readouterr()
    assert main([str(run), "--out", str(tmp_path / "m.pt2"), "--overwrite", "-q"]) == 0
    assert capsys.readouterr().out == ""
