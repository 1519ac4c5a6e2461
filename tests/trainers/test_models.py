"""Networks: sizes by hand, names that others rely on, images of any size, and that each can learn."""

import math
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from trainers.errors import TrainerError
from trainers.models import MODELS, Network, build, count_parameters, register

SMALL = {"cnn-7-5-3": {"width": 16}, "moussaka": {"width": 16, "dropout": 0.0}, "nafnet": {"width": 8}}
GRAY = sorted(name for name in MODELS if MODELS[name].only_channels in (None, 1))
COLOUR = sorted(name for name in MODELS if MODELS[name].only_channels in (None, 3))


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        yield


def conv(size, before, after, bias=True):
    return size * size * before * after + bias * after


def norm(width):
    return 2 * width


def images(*shape):
    """Smooth images, float (B, C, H, W) in 0.05 … 0.95."""
    coarse = torch.rand(shape[0], shape[1], 4, 4, generator=torch.Generator().manual_seed(5))
    return F.interpolate(coarse, shape[2:], mode="bilinear", align_corners=True) * 0.9 + 0.05


# ---- how many weights ----


def cnn(channels, width=64):
    return conv(7, channels, width) + conv(5, width, width) + conv(3, width, channels)


def srcnn(channels, *middle):
    count, before = conv(9, channels, 64), 64
    for size, after in middle:
        count += conv(size, before, after)
        before = after
    return count + conv(5, before, channels)


def autoencoder(channels):
    down = [conv(2, a, b) for a, b in [(channels, 64), (64, 32), (32, 16), (16, 8)]]
    up = [conv(2, a, b) for a, b in [(8, 16), (16, 32), (32, 64)]]
    return sum(down) + sum(up) + conv(1, 64, channels)


def moussaka():
    down = conv(5, 1, 512) + conv(5, 512, 256) + conv(5, 256, 128)
    return down + conv(5, 128, 128) + conv(5, 128, 256) + conv(5, 256, 1)


def transform_net(channels):
    down = [(9, channels, 32), (3, 32, 64), (3, 64, 128)]
    up = [(3, 128, 64), (3, 64, 32)]
    normed = sum(conv(k, a, b, bias=False) + norm(b) for k, a, b in down + up)
    residual = 5 * 2 * (conv(3, 128, 128, bias=False) + norm(128))
    return normed + residual + conv(9, 32, channels)


def resnet50_body(channels=3):
    count, before = conv(7, channels, 64, bias=False) + norm(64), 64
    for width, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        after = 4 * width
        count += conv(1, before, after, bias=False) + norm(after)  # the way round the first block
        for _ in range(blocks):
            count += conv(1, before, width, bias=False) + norm(width)
            count += conv(3, width, width, bias=False) + norm(width)
            count += conv(1, width, after, bias=False) + norm(after)
            before = after
    return count


def resnet_encdec():
    count = resnet50_body()
    for before, after in [(2048, 1024), (1024, 512), (512, 256)]:
        count += conv(2, before, after) + conv(3, 2 * after, after, bias=False) + norm(after)
        count += conv(3, after, after, bias=False) + norm(after)
    for before, after in [(256, 128), (128, 64)]:
        count += conv(3, before, after, bias=False) + conv(3, after, after, bias=False) + 2 * norm(after)
    return count + conv(1, 64, 3)


def nafnet(channels, width, encoder, middle, decoder):
    def block(w):
        depthwise = 9 * 2 * w + 2 * w
        first = norm(w) + conv(1, w, 2 * w) + depthwise + conv(1, w, w) + conv(1, w, w) + w
        second = norm(w) + conv(1, w, 2 * w) + conv(1, w, w) + w
        return first + second

    count = conv(3, channels, width) + conv(3, width, channels)
    for blocks in encoder:
        count += blocks * block(width) + conv(2, width, 2 * width)
        width *= 2
    count += middle * block(width)
    for blocks in decoder:
        count += conv(1, width, 2 * width, bias=False)
        width //= 2
        count += blocks * block(width)
    return count


PUBLISHED = {"width": 64, "encoder": (1, 1, 1, 28), "middle": 1, "decoder": (1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("name", "channels", "arguments", "count"),
    [
        ("cnn-7-5-3", 1, {}, cnn(1)),
        ("cnn-7-5-3", 3, {"width": 8}, cnn(3, 8)),
        ("autoencoder", 1, {}, 22_057),
        ("autoencoder", 1, {}, autoencoder(1)),
        ("autoencoder", 3, {}, autoencoder(3)),
        ("moussaka", 1, {}, moussaka()),
        ("srcnn-9-1-5", 1, {}, 8_129),
        ("srcnn-9-1-5", 3, {}, srcnn(3, (1, 32))),
        ("srcnn-9-3-1-5", 1, {}, srcnn(1, (3, 64), (1, 32))),
        ("srcnn-9-1-1-1-5", 1, {}, srcnn(1, (1, 32), (1, 32), (1, 32))),
        ("transform-net", 3, {}, transform_net(3)),
        ("transform-net", 1, {}, transform_net(1)),
        ("resnet-encdec", 3, {}, resnet_encdec()),
        ("resnet-encdec", 1, {}, resnet_encdec() - 2 * (64 + 1)),
        ("nafnet", 3, {}, nafnet(3, 32, (1, 1, 1), 1, (1, 1, 1))),
        ("nafnet", 1, {"width": 16, "encoder": (2, 3), "middle": 2, "decoder": (1, 2)},
         nafnet(1, 16, (2, 3), 2, (1, 2))),
        ("nafnet", 3, PUBLISHED, nafnet(3, 64, (1, 1, 1, 28), 1, (1, 1, 1, 1))),
    ],
)  # fmt: skip
def test_as_many_weights_as_counted_by_hand(name, channels, arguments, count):
    with torch.device("meta"):  # no memory is needed to count
        network = build(name, channels, **arguments)
    assert count_parameters(network) == count


def test_published_counts():
    with torch.device("meta"):
        assert round(count_parameters(build("nafnet", 3, **PUBLISHED)) / 1e6, 2) == 67.89
        assert count_parameters(build("resnet-encdec", 3).encoder) == 23_508_032


def test_weights_that_are_not_trained_do_not_count():
    network = build("cnn-7-5-3", 1)
    network.body[0].weight.requires_grad_(False)
    assert count_parameters(network) == cnn(1) - 49 * 64


# ---- shapes ----


@pytest.mark.parametrize("name", sorted(MODELS))
def test_images_keep_their_shape(name):
    channels = MODELS[name].only_channels or 1
    network = build(name, channels, **SMALL.get(name, {})).eval()
    height, width = network.size or (2 * network.stride, 3 * network.stride)
    with torch.no_grad():
        assert network(torch.rand(2, channels, height, width)).shape == (2, channels, height, width)


@pytest.mark.parametrize("name", COLOUR)
@pytest.mark.parametrize("size", [(37, 51), (1, 1), (5, 64)])
def test_restore_takes_any_size(name, size):
    network = build(name, 3, **SMALL.get(name, {})).eval()
    given = torch.rand(1, 3, *size)
    with torch.no_grad():
        restored = network.restore(given)
    assert restored.shape == given.shape
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_restore_of_a_fixed_size_resizes_there_and_back():
    class Same(Network):
        size = (90, 270)

        def forward(self, given):
            assert given.shape[-2:] == (90, 270)
            return given

    smooth = images(2, 1, 120, 300)
    assert Same().restore(smooth).shape == smooth.shape
    torch.testing.assert_close(Same().restore(smooth), smooth, atol=5e-3, rtol=0)
    exact = torch.rand(1, 1, 90, 270)
    assert torch.equal(Same().restore(exact), exact)


def test_restore_clips_and_pads_below_and_right_only():
    class Doubled(Network):
        stride = 4

        def forward(self, given):
            assert given.shape[-2:] == (8, 12)
            assert torch.equal(given[..., 7, :], given[..., 6, :])
            return 2 * given - 0.5

    given = torch.rand(1, 1, 7, 10)
    assert torch.equal(Doubled().restore(given), (2 * given - 0.5).clamp(0, 1))


def test_restore_of_whole_strides_is_the_network_clipped():
    network = build("nafnet", 1, width=8).eval()
    given = torch.rand(2, 1, 16, 24)
    with torch.no_grad():
        assert torch.equal(network.restore(given), network(given).clamp(0, 1))


# ---- what the networks are ----


def test_a_fresh_nafnet_adds_a_correction_to_its_input():
    network = build("nafnet", 1, width=8).eval()
    with torch.no_grad():
        network.ending.weight.zero_()
        network.ending.bias.zero_()
        given = torch.rand(1, 1, 16, 16)
        assert torch.equal(network(given), given)


def test_the_autoencoder_is_a_linear_filter_before_its_sigmoid():
    network = build("autoencoder", 1).eval()
    with torch.no_grad():
        first, second, zero = torch.rand(3, 1, 1, 12, 14).unbind(0)
        zero = torch.zeros_like(first)
        both, one, other, none = (
            torch.logit(network(given).double()) for given in (first + second, first, second, zero)
        )
    torch.testing.assert_close(both, one + other - none, atol=1e-4, rtol=0)


def test_the_autoencoder_pads_as_tensorflow_does():
    # "same" with an even size: the added row and column lie below and to the right
    network = build("autoencoder", 1).eval()
    with torch.no_grad():
        for layer in [*network.encoder, *network.decoder, network.last]:
            layer.weight.zero_()
            layer.bias.zero_()
        for layer in network.encoder:
            layer.weight[0, 0, 1, 1] = 1.0  # each takes the pixel below and to the right
        for layer in network.decoder:
            layer.weight[0, 0, 0, 0] = 1.0
        network.last.weight[0, 0, 0, 0] = 1.0
        given = torch.rand(1, 1, 9, 10)
        shifted = torch.zeros_like(given)
        shifted[..., :5, :6] = given[..., 4:, 4:]
        torch.testing.assert_close(network(given), shifted.sigmoid())


def test_moussaka_halves_nothing_in_evaluation():
    network = build("moussaka", 1, width=8).eval()
    given = torch.rand(1, 1, 90, 270)
    with torch.no_grad():
        assert torch.equal(network(given), network(given))
        network.train()
        assert not torch.equal(network(given), network(given))


def test_no_warnings_from_any_network():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, network in MODELS.items():
            channels = network.only_channels or 1
            made = build(name, channels, **SMALL.get(name, {})).eval()
            with torch.no_grad():
                made.restore(torch.rand(1, channels, 32, 32))


# ---- torchvision's names ----

KNOWN = {
    "conv1.weight": (64, 3, 7, 7),
    "bn1.weight": (64,),
    "bn1.bias": (64,),
    "bn1.running_mean": (64,),
    "bn1.running_var": (64,),
    "bn1.num_batches_tracked": (),
    "layer1.0.conv1.weight": (64, 64, 1, 1),
    "layer1.0.conv2.weight": (64, 64, 3, 3),
    "layer1.0.conv3.weight": (256, 64, 1, 1),
    "layer1.0.bn3.running_var": (256,),
    "layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "layer1.0.downsample.1.running_mean": (256,),
    "layer1.2.conv1.weight": (64, 256, 1, 1),
    "layer2.0.conv2.weight": (128, 128, 3, 3),
    "layer2.0.downsample.0.weight": (512, 256, 1, 1),
    "layer2.3.bn2.bias": (128,),
    "layer3.0.downsample.0.weight": (1024, 512, 1, 1),
    "layer3.5.conv3.weight": (1024, 256, 1, 1),
    "layer4.0.downsample.1.weight": (2048,),
    "layer4.2.conv2.weight": (512, 512, 3, 3),
    "layer4.2.bn3.num_batches_tracked": (),
}


def all_resnet50_names():
    """The names of torchvision's resnet50 without its head, in its order, by its rule."""

    def bn(name):
        parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return [f"{name}.{part}" for part in parts]

    names = ["conv1.weight", *bn("bn1")]
    for layer, blocks in enumerate([3, 4, 6, 3], 1):
        for block in range(blocks):
            at = f"layer{layer}.{block}"
            for number in (1, 2, 3):
                names += [f"{at}.conv{number}.weight", *bn(f"{at}.bn{number}")]
            if block == 0:
                names += [f"{at}.downsample.0.weight", *bn(f"{at}.downsample.1")]
    return names


@pytest.fixture(scope="module")
def resnet_weights():
    """A file's content, as torchvision's resnet50 has it, with its head."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        weights = {
            f"{name}": value.clone() for name, value in build("resnet-encdec", 3).encoder.state_dict().items()
        }
    return {**weights, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}


def test_encoder_has_the_names_of_torchvision():
    with torch.device("meta"):
        state = build("resnet-encdec", 3).encoder.state_dict()
    assert list(state) == all_resnet50_names()
    assert len(state) == 318  # and fc.weight, fc.bias make 320
    assert {name: tuple(state[name].shape) for name in KNOWN} == KNOWN


def test_encoder_weights_load_without_renaming(tmp_path, resnet_weights):
    for file, write in (("r.pth", torch.save), ("r.safetensors", save_file)):
        write(resnet_weights, tmp_path / file)
        network = build("resnet-encdec", 3)
        network.load_encoder(tmp_path / file)
        for name, value in network.encoder.state_dict().items():
            assert torch.equal(value, resnet_weights[name])


def test_old_encoder_weights_lack_the_counts_of_batches(tmp_path, resnet_weights):
    old = {name: value for name, value in resnet_weights.items() if "num_batches" not in name}
    torch.save(old, tmp_path / "old.pth")
    network = build("resnet-encdec", 3)
    network.load_encoder(tmp_path / "old.pth")
    assert torch.equal(network.encoder.conv1.weight, old["conv1.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("layer3.1.conv2.weight"), r"it lacks layer3\.1\.conv2\.weight \(1 names differ\)"),
        (lambda w: w.update(extra=torch.zeros(1)), r"it holds the unknown extra \(1 names differ\)"),
        (lambda w: w.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}),
         r"conv1\.weight is \(64, 1, 7, 7\), \(64, 3, 7, 7\) is needed"),
        (lambda w: w.update({"bn1.bias": torch.full((64,), float("nan"))}),
         r"bn1\.bias holds values that are not"),
    ],
)  # fmt: skip
def test_other_encoder_weights_are_refused(tmp_path, resnet_weights, change, message):
    weights = dict(resnet_weights)
    change(weights)
    torch.save(weights, tmp_path / "other.pth")
    network = build("resnet-encdec", 3)
    before = network.encoder.conv1.weight.clone()
    with pytest.raises(TrainerError, match=message):
        network.load_encoder(tmp_path / "other.pth")
    assert torch.equal(network.encoder.conv1.weight, before)


# ---- names and arguments ----


def test_every_published_network_is_there():
    assert set(MODELS) >= {
        "cnn-7-5-3", "moussaka", "autoencoder", "srcnn-9-1-5", "srcnn-9-3-1-5", "srcnn-9-1-1-1-5",
        "resnet-encdec", "transform-net", "nafnet",
    }  # fmt: skip
    for name, network in MODELS.items():
        assert network.kind == name
        assert network.__doc__


@pytest.mark.parametrize(
    ("name", "channels", "arguments", "message"),
    [
        ("unet", 1, {}, r"there is no network 'unet'; there are autoencoder, cnn-7-5-3, "),
        ("moussaka", 3, {}, r"network 'moussaka' takes images of 1 channel, these have 3"),
        (
            "cnn-7-5-3",
            1,
            {"depth": 3},
            r"network 'cnn-7-5-3' has no argument 'depth'; it takes width, dropout",
        ),
        ("autoencoder", 1, {"width": 3}, r"network 'autoencoder' has no argument 'width'; it takes none"),
        ("nafnet", 1, {"encoder": (1, 1)}, r"network 'nafnet': encoder has 2 levels, decoder 3"),
        ("cnn-7-5-3", 1, {"dropout": 2}, r"network 'cnn-7-5-3': dropout"),
        (
            "cnn-7-5-3",
            1,
            {"width": "wide"},
            r"network 'cnn-7-5-3': width 'wide': a whole number, 1 … 4096, is",
        ),
        ("nafnet", 1, {"width": 0}, r"network 'nafnet': width 0: a whole number, 1 … 4096, is needed"),
        ("moussaka", 1, {"width": 3}, r"network 'moussaka': width 3: a whole number, 4 … 4096, is needed"),
        ("cnn-7-5-3", 1, {"channels": 3}, r"network 'cnn-7-5-3' has no argument 'channels'"),
        ("cnn-7-5-3", 1, {"dropout": math.nan}, r"dropout nan: a number from 0 to 1 is needed"),
        ("moussaka", 1, {"dropout": "much"}, r"dropout 'much': a number from 0 to 1 is needed"),
        ("nafnet", 1, {"encoder": 3}, r"encoder 3: a list of whole numbers, such as \[1,1,1\], is needed"),
        ("nafnet", 1, {"decoder": [1, -1, 1]}, r"-1 blocks: a whole number, 0 … 256, is needed"),
        ("nafnet", 1, {"middle": -1}, r"-1 blocks: a whole number, 0 … 256, is needed"),
    ],
)
def test_wrong_names_channels_and_arguments_are_said(name, channels, arguments, message):
    with pytest.raises(TrainerError, match=message):
        build(name, channels, **arguments)


def test_a_network_of_ones_own_takes_three_lines(monkeypatch):
    monkeypatch.setattr("trainers.models.base.MODELS", dict(MODELS))

    @register("mine")
    class Mine(Network):
        def __init__(self, channels: int = 1) -> None:
            super().__init__()
            self.channels = channels
            self.body = torch.nn.Conv2d(channels, channels, 3, padding=1)

        def forward(self, given):
            return self.body(given)

    made = build("mine", 3)
    assert isinstance(made, Mine)
    assert made.kind == "mine"
    assert made.restore(torch.rand(1, 3, 9, 11)).shape == (1, 3, 9, 11)
    assert "mine" not in MODELS


# ---- each learns ----

LEARNS = {
    # name: (rate, steps, loss at the end over that of one gray for all)
    "cnn-7-5-3": (2e-3, 60, 0.25),
    "moussaka": (2e-3, 160, 0.55),
    "autoencoder": (5e-3, 40, 0.3),
    "srcnn-9-1-5": (2e-3, 80, 0.25),
    "srcnn-9-3-1-5": (2e-3, 80, 0.25),
    "srcnn-9-1-1-1-5": (2e-3, 100, 0.25),
    "resnet-encdec": (1e-3, 8, 0.5),
    "transform-net": (2e-3, 25, 0.15),
    "nafnet": (3e-3, 60, 0.15),
}


@pytest.mark.parametrize("name", sorted(LEARNS))
def test_each_network_overfits_eight_pairs(name):
    rate, steps, share = LEARNS[name]
    channels = MODELS[name].only_channels or 1
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(
            name, channels, **{**SMALL.get(name, {}), **({"dropout": 0.0} if name == "cnn-7-5-3" else {})}
        )
    size = network.size or ((32, 32) if network.stride == 32 else (24, 24))
    sharp = torch.rand(8, channels, *(n // 6 for n in size), generator=torch.Generator().manual_seed(9))
    sharp = F.interpolate(sharp, size, mode="nearest")
    blurred = F.avg_pool2d(F.pad(sharp, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    optimizer = torch.optim.Adam(network.parameters(), rate, fused=True)
    network.train()
    losses = []
    for _ in range(steps):
        loss = (network(blurred) - sharp).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    gray = (sharp - sharp.mean()).square().mean().item()
    assert losses[-1] < share * gray, (gray, losses[-1])


@pytest.mark.parametrize("seed", range(4))
def test_moussaka_begins_alive(seed):
    """A ReLU that begins with a negative value everywhere would never learn."""
    torch.manual_seed(seed)
    network = build("moussaka", 1, width=64)
    network.eval()
    restored = network(torch.rand(2, 1, 90, 270))
    assert (restored > 0).float().mean() > 0.99
    assert abs(restored.mean() - 0.5) < 0.05
