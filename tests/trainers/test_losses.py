import math

import pytest
import torch

from trainers.errors import TrainerError
from trainers.losses import LOSSES, loss_named

SHARP = torch.tensor([[0.0, 1.0], [0.25, 0.5]]).reshape(2, 1, 1, 2)
RESTORED = torch.tensor([[0.1, 0.8], [0.25, 0.9]]).reshape(2, 1, 1, 2)
ERRORS = [0.1, -0.2, 0.0, 0.4]


def by_formula(name):
    restored, sharp = RESTORED.flatten().tolist(), SHARP.flatten().tolist()
    match name:
        case "mse":
            return sum(e * e for e in ERRORS) / 4
        case "mae":
            return sum(map(abs, ERRORS)) / 4
        case "bce":
            pairs = zip(restored, sharp, strict=True)
            return -sum(s * math.log(r) + (1 - s) * math.log(1 - r) for r, s in pairs) / 4
        case "charbonnier":
            return sum(math.sqrt(e * e + 1e-6) for e in ERRORS) / 4
        case "psnr":
            return -sum(-10 * math.log10((a * a + b * b) / 2) for a, b in (ERRORS[:2], ERRORS[2:])) / 2
    raise AssertionError(name)


@pytest.mark.parametrize("name", LOSSES)
def test_formula(name):
    assert loss_named(name)(RESTORED, SHARP).item() == pytest.approx(by_formula(name), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_finite_everywhere(name):
    for restored in (RESTORED, SHARP, SHARP - 0.5, SHARP + 0.5):
        leaf = restored.clone().requires_grad_()
        loss_named(name)(leaf, SHARP).backward()
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all())


@pytest.mark.parametrize("name", LOSSES)
def test_the_sharp_image_itself_is_best(name):
    best = loss_named(name)(SHARP.clamp(0.01, 0.99), SHARP.clamp(0.01, 0.99))
    assert best < loss_named(name)(RESTORED, SHARP.clamp(0.01, 0.99))


def test_unknown_name():
    with pytest.raises(
        TrainerError, match="there is no loss 'l2'; there are mse, mae, bce, charbonnier, psnr"
    ):
        loss_named("l2")
