"""Export a network for other programs: ``python -m trainers.export RUN --out model.onnx``."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.checkpoint import load_network
from trainers.console import Imports, command, say
from trainers.console import run as run_command
from trainers.errors import TrainerError
from trainers.files import written
from trainers.models import Network

INPUT, OUTPUT = "blurred", "restored"
_TOLERANCE = 1e-4  # of full scale; sums are taken in other orders
_KINDS = {".onnx": "ONNX", ".pt2": "torch.export"}


class _Restore(nn.Module):
    """`Network.restore`, written so that its graph holds for every size."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, blurred: Tensor) -> Tensor:
        if self.network.size is not None:
            restored: Tensor = self.network(blurred).clamp(0, 1)
            return restored
        height, width = blurred.shape[-2:]
        down, right = -height % self.network.stride, -width % self.network.stride
        restored = self.network(F.pad(blurred, (0, right, 0, down), mode="replicate")).clamp(0, 1)
        # slices would ask whether anything is cut off, and fix the answer
        rows, columns = (torch.arange(length, device=blurred.device) for length in (height, width))
        return restored.index_select(2, rows).index_select(3, columns)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path : Path
        The file.
    kind : str
        ``ONNX`` or ``torch.export``.
    network : str
        The network's kind.
    sizes : str
        Which images it takes.
    difference : float
        The largest difference from the network itself that was found, of full scale.
    """

    path: Path
    kind: str
    network: str
    sizes: str
    difference: float


def export(run: str | os.PathLike[str], out: str | os.PathLike[str], *, overwrite: bool = False) -> Exported:
    """Write a run's network as a graph that needs none of this code, and see that it gives the same.

    Its input ``blurred`` and output ``restored`` are float32 (B, C, H, W), black 0, white 1, the output
    clipped. B, H and W are free, H and W above the network's stride; a network of a fixed size takes no
    other. The file is run on images of several sizes, by onnxruntime or PyTorch, before it gets its name.

    Parameters
    ----------
    run : path-like
        A run's folder, of which the best weights are taken, or a file of weights.
    out : path-like
        The file: ``.onnx`` for ONNX, ``.pt2`` for a program of `torch.export`.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    Exported
        What was written.

    Raises
    ------
    TrainerError
        With one sentence that says what is wrong.
    """
    path = Path(out)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise TrainerError(f"'{path}': a name that ends in .onnx or .pt2 is needed")
    if path.exists() and not overwrite:
        raise TrainerError(f"'{path}' exists: name another file, or replace it (--overwrite)")
    network, _ = load_network(run)
    with _quiet():
        program = _program(network)
        found = 0.0

        def write(partial: Path) -> None:
            nonlocal found
            if kind == "ONNX":
                _write_onnx(program, network, partial)
                found = _difference(network, _onnx_runner(partial))
            else:
                torch.export.save(program, partial)
                found = _difference(network, torch.export.load(partial).module())
            if not found <= _TOLERANCE:
                raise TrainerError(f"the exported network differs from '{run}' by {found:.2g} of full scale")

        written(path, write)
    return Exported(path, kind, network.kind, _sizes(network), found)


def _program(network: Network) -> Any:
    """The graph of the network, with free sizes."""
    free = torch.export.Dim.DYNAMIC
    sides = {} if network.size else {2: free, 3: free}
    # no size is 1, a multiple of the stride, or equal to another: the graph shall be none of a special case
    height, width = network.size or (5 * network.stride + 3, 4 * network.stride + 2)
    example = torch.zeros(2, network.channels, height, width)
    with torch.no_grad():
        return torch.export.export(
            _Restore(network), (example,), dynamic_shapes={INPUT: {0: free, **sides}}, strict=False
        )


def _write_onnx(program: Any, network: Network, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise TrainerError("export to ONNX needs pip install onnx onnxscript onnxruntime") from None
    made = torch.onnx.export(
        program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], external_data=False, verbose=False
    )
    made.model.metadata_props.update(kind=network.kind, sizes=_sizes(network), range="0 to 1")
    for value in (*made.model.graph.inputs, *made.model.graph.outputs):
        names = ("batch", None, "height", "width")
        for axis, name in enumerate(names):
            if name is not None and not isinstance(value.shape[axis], int):
                value.shape[axis] = name
    made.save(str(path), external_data=False)


def _onnx_runner(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise TrainerError("to check the export, pip install onnxruntime is needed") from None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])

    return run


def _difference(network: Network, run: Any) -> float:
    """The largest difference on images of several sizes, a multiple of the stride among them."""
    s = network.stride
    sizes = [network.size] if network.size else [(s + 1, s + 2), (4 * s, 5 * s), (8 * s + 5, 3 * s + 1)]
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    with torch.no_grad():
        for batch, (height, width) in enumerate(sizes, 1):
            for count in (1, batch + 1):
                images = torch.rand(count, network.channels, height, width, generator=generator)
                # not by max, which a NaN might slip through
                difference = (run(images) - network.restore(images)).abs()
                if not difference.isfinite().all():
                    return float("nan")
                worst = max(worst, difference.max().item())
    return worst


def _sizes(network: Network) -> str:
    if network.size:
        return f"images of {network.size[0]}×{network.size[1]}×{network.channels}"
    least = f", sides above {network.stride}" if network.stride > 1 else ""
    return f"images of any size{least}, {network.channels} channel{'s' if network.channels > 1 else ''}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter tells those who develop it."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(before)


# ---- command ----

app = command("export", "Export a network for other programs.")


@app.command(epilog="Example: python -m trainers.export runs/nafnet-pairs --out model.onnx")
def _command(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a file of weights.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="What to write: .onnx, or .pt2 of torch.export.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    imports: Imports = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    done = export(run, out, overwrite=overwrite)
    if not quiet:
        say(
            f"{done.path}: {done.network} as {done.kind}, {done.sizes}; "
            f"differs from PyTorch by {done.difference:.1g} of full scale at most"
        )


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for an error that was said, 2 for wrong usage."""
    return run_command(app, "export", argv)


if __name__ == "__main__":
    sys.exit(main())
