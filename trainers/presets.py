"""The settings that published projects trained with, by name.

Each is what its source says; where a source is silent, the choice is ours and said beside it. Single options
override them.
"""

from __future__ import annotations

from typing import Any, Final

from trainers.errors import TrainerError

PRESETS: Final[dict[str, dict[str, Any]]] = {
    # The MNIST motion deblurring project. How many epochs is not published: 100 is ours.
    "mnist-deblurring": {
        "model": "cnn-7-5-3",
        "loss": "mse",
        "optimizer": "adam",
        "lr": 5e-4,
        "schedule": "constant",
        "batch_size": 16,
        "epoch_steps": 250,
        "epochs": 100,
        "val_fraction": 0.2,
        "samples": 50,
        "samples_every": 25,
    },
    # The licence plate project of Imperial College. How long is not published: 40,000 steps are ours.
    "plates-moussaka": {
        "model": "moussaka",
        "loss": "mse",
        "optimizer": "adam",
        "lr": 1e-3,
        "schedule": "staircase",
        "schedule_args": {"factor": 0.98125, "every": 1000},
        "batch_size": 64,
        "steps": 40_000,
        "online": "plates",
        "gray": True,
        "pretrain": "layerwise",
    },
    # The Fashion-MNIST autoencoder. Validation MSE 0.0034 after the 100 epochs.
    "fashion-autoencoder": {
        "model": "autoencoder",
        "loss": "mse",
        "optimizer": "adam",
        "lr": 1e-3,
        "schedule": "constant",
        "batch_size": 2000,
        "epochs": 100,
    },
    # The SRCNN study of nine curves. Optimiser and batch size are not published: Adam and 16 are ours.
    "anime-srcnn": {
        "model": "srcnn-9-1-5",
        "loss": "mse",
        "optimizer": "adam",
        "lr": 1e-4,
        "schedule": "constant",
        "batch_size": 16,
        "epochs": 20,
    },
    # The GoPro project, frames resized to 256×256. Batch size is not published: 16 is ours.
    "gopro-resnet": {
        "model": "resnet-encdec",
        "loss": "mse",
        "optimizer": "adam",
        "lr": 1e-3,
        "schedule": "constant",
        "batch_size": 16,
        "epochs": 350,
    },
    "gopro-transform": {
        "model": "transform-net",
        "loss": "mse",
        "optimizer": "adam",
        "lr": 1e-3,
        "schedule": "constant",
        "batch_size": 16,
        "epochs": 350,
    },
    # … and what followed, from the weights of the run before (--weights)
    "gopro-transform-2": {
        "model": "transform-net",
        "loss": "mse",
        "optimizer": "sgd",
        "optimizer_args": {"momentum": 0.0},
        "lr": 1e-4,
        "schedule": "constant",
        "batch_size": 16,
        "epochs": 200,
    },
    # Chen et al. 2022, for GoPro, their width of 64 and eight GPUs of eight crops each.
    "nafnet": {
        "model": "nafnet",
        "model_args": {"width": 64, "encoder": [1, 1, 1, 28], "middle": 1, "decoder": [1, 1, 1, 1]},
        "loss": "psnr",
        "optimizer": "adamw",
        "optimizer_args": {"betas": [0.9, 0.9], "weight_decay": 1e-3},
        "lr": 1e-3,
        "schedule": "cosine",
        "schedule_args": {"floor": 1e-7},
        "clip": 0.01,
        "batch_size": 64,
        "crop": 256,
        "augment": True,
        "steps": 400_000,
    },
}


def preset_named(name: str) -> dict[str, Any]:
    """The options of a preset, `preset` itself among them.

    Raises
    ------
    TrainerError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise TrainerError(f"there is no preset '{name}'; there are {', '.join(PRESETS)}")
    return {**PRESETS[name], "preset": name}
