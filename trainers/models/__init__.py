"""The networks, one file each, found by name."""

from trainers.models import (
    autoencoder,
    cnn_7_5_3,
    moussaka,
    nafnet,
    resnet_encdec,
    srcnn,
    transform_net,
)
from trainers.models.base import MODELS, Network, build, count_parameters, register

__all__ = [
    "MODELS",
    "Network",
    "autoencoder",
    "build",
    "cnn_7_5_3",
    "count_parameters",
    "moussaka",
    "nafnet",
    "register",
    "resnet_encdec",
    "srcnn",
    "transform_net",
]
