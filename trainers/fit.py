"""Fit a network: ``python -m trainers.fit pairs.h5``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from trainers.assembly import (
    EPOCHS,
    Feeders,
    check_data,
    chosen_device,
    completed,
    make_feeders,
    make_network,
    make_optimizer,
    resolved,
    restored_state,
    resumed,
)
from trainers.console import Imports, Progress, StopError, command, key_values, stop_request
from trainers.console import run as run_command
from trainers.distributed import World, asked_world, joined
from trainers.errors import FailedTrainingError, is_out_of_memory
from trainers.loop import Epoch, Scores, State, autocast, judge, schedule, train
from trainers.losses import loss_named
from trainers.models import MODELS, Network, count_parameters
from trainers.models.moussaka import Moussaka
from trainers.options import Options
from trainers.pretrain import layerwise
from trainers.rows import Data, open_data
from trainers.runs import Run, check_free, check_installed, free_name


def fit(
    pairs: str | Path | None = None,
    *,
    model: str | None = None,
    model_args: dict[str, Any] | None = None,
    loss: str | None = None,
    optimizer: str | None = None,
    lr: float | None = None,
    optimizer_args: dict[str, Any] | None = None,
    schedule: str | None = None,
    schedule_args: dict[str, Any] | None = None,
    clip: float | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    epoch_steps: int | None = None,
    batch_size: int | None = None,
    crop: int | None = None,
    augment: bool | None = None,
    gray: bool | None = None,
    val_fraction: float | None = None,
    val: str | Path | None = None,
    precision: str | None = None,
    compiled: bool | None = None,
    device: str | None = None,
    seed: int | None = None,
    run: str | Path | None = None,
    resume: bool = False,
    weights: str | Path | None = None,
    encoder_weights: str | Path | None = None,
    pretrain: str | None = None,
    pretrain_steps: tuple[int, int] | None = None,
    online: str | Path | None = None,
    online_on: str | None = None,
    count: int | None = None,
    patience: int | None = None,
    samples: int | None = None,
    samples_every: int | None = None,
    threads: int | None = None,
    preset: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
) -> Path:
    """Fit a network to pairs, and write a run's folder.

    None stands for what the preset says, else for the default of `trainers.options.Options`, which describes
    each option. On the CPU the weights are a function of options and data, stopped and resumed or not.

    Parameters
    ----------
    pairs : str or Path
        A pair file; with `online`, a pair file or a source of sharp images, such as ``"digits"``. A run that
        goes on needs none.
    run : str or Path, optional
        The run's folder; by default ``runs/MODEL-PAIRS``, with a number where that exists.
    resume : bool
        Go on with `run` where it stopped, with its own options; length, patience, device and samples may be
        given anew.
    dry_run : bool
        Only say what would be done.
    quiet : bool
        Say nothing.
    model, model_args, loss, optimizer, lr, optimizer_args, schedule, schedule_args, clip, epochs, steps, \
    epoch_steps, batch_size, crop, augment, gray, val_fraction, val, precision, compiled, device, seed, \
    weights, encoder_weights, pretrain, pretrain_steps, online, online_on, count, patience, samples, \
    samples_every, threads, preset
        See `trainers.options.Options`.

    Returns
    -------
    Path
        The run's folder.

    Raises
    ------
    TrainerError, BlurgenError
        With one sentence that says what is wrong.
    StopError
        If Ctrl-C or SIGTERM asked to stop; the run can be resumed.
    """
    given = {
        "pairs": pairs,
        "model": model,
        "model_args": model_args,
        "loss": loss,
        "optimizer": optimizer,
        "lr": lr,
        "optimizer_args": optimizer_args,
        "schedule": schedule,
        "schedule_args": schedule_args,
        "clip": clip,
        "epochs": epochs,
        "steps": steps,
        "epoch_steps": epoch_steps,
        "batch_size": batch_size,
        "crop": crop,
        "augment": augment,
        "gray": gray,
        "val_fraction": val_fraction,
        "val": val,
        "precision": precision,
        "compiled": compiled,
        "device": device,
        "seed": seed,
        "weights": weights,
        "encoder_weights": encoder_weights,
        "pretrain": pretrain,
        "pretrain_steps": pretrain_steps,
        "online": online,
        "online_on": online_on,
        "count": count,
        "patience": patience,
        "samples": samples,
        "samples_every": samples_every,
        "threads": threads,
        "preset": preset,
    }
    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in given.items()
        if value is not None
    }
    folder = None if run is None else Path(run)
    world = asked_world()
    quiet = quiet or not world.leads
    if resume:
        options = resumed(folder, given)
    else:
        options = resolved(given)
        if folder is not None and world.leads and not dry_run:
            check_free(folder)
    place = chosen_device(options.device, world)
    with (
        joined(world, place),
        Progress(quiet) as progress,
        # the caller's own random numbers go on as if nothing had been
        torch.random.fork_rng([place] if place.type == "cuda" else []),
    ):
        data = open_data(options)
        if resume and folder is not None:
            check_data(folder, data)
        for note in data.notes:
            progress.say(note)
        options = completed(options, data, progress.say)
        with _out_of_memory_said(options):
            return _fit(options, data, folder, resume, dry_run, place, world, progress)


def _fit(
    options: Options,
    data: Data,
    folder: Path | None,
    resume: bool,
    dry_run: bool,
    device: torch.device,
    world: World,
    progress: Progress,
) -> Path:
    network = make_network(options, data, device, world, goes_on=resume)
    loss = loss_named(options.loss)
    feeders = make_feeders(options, data, device, world, progress.say)
    epoch_steps = options.epoch_steps or feeders.train.per_pass
    steps = options.steps or (options.epochs or 1) * epoch_steps
    optimizer = make_optimizer(options, network, device)
    rate = schedule(options.schedule, options.lr, steps, options.schedule_args)
    if folder is None:
        folder = world.told(free_name(f"{options.model}-{Path(options.pairs).stem}"))
    _describe(options, data, network, feeders, steps, epoch_steps, device, world, progress)
    progress.say(f"run: {folder}")
    if dry_run:
        feeders.close()
        return folder
    check_installed()

    def score(restore: Callable[[Tensor], Tensor]) -> Scores:
        network.eval()
        return judge(restore, feeders.val, loss=loss, device=device, precision=options.precision, world=world)

    nothing = score(lambda images: images)
    progress.say(f"doing nothing: PSNR {nothing.psnr:.2f} dB, SSIM {nothing.ssim:.4f}")
    state = restored_state(folder, network, optimizer, steps) if resume else State()
    if resume:
        progress.say(f"going on after step {state.step:,} of {steps:,}")
    run = None
    # from the first file on: a folder that was begun holds a state to go on from
    with stop_request(progress.say) as request:
        if world.leads:
            run = Run.begin(folder, options, data.said, nothing, state.epoch if resume else None)
            run.save(network, optimizer, state)
        reports = _Reports(
            options, network, optimizer, feeders, nothing, run, progress, steps, epoch_steps, device
        )
        pretrained = not options.pretrain or state.step > 0
        if not pretrained:
            pretrained = _pretrain(reports, state, world, lambda: request.asked)
        if options.compiled:
            network.compile()
        if state.step < steps:
            reports.begin_epoch(state)
        whole = pretrained and train(
            network,
            feeders.train,
            loss=loss,
            optimizer=optimizer,
            learning_rate=rate,
            steps=steps,
            epoch_steps=epoch_steps,
            validate=lambda: score(network.restore),
            each_epoch=reports.each_epoch,
            each_step=reports.each_step,
            state=state,
            should_stop=lambda: request.asked,
            device=device,
            seed=options.seed,
            precision=options.precision,
            clip=options.clip,
            world=world,
        )
    progress.end()
    feeders.close()
    if run is not None:
        if not whole:
            run.save(network, optimizer, state)
        run.close()
    if not whole:
        reached = f"step {state.step:,} of {steps:,}, which is kept"
        if not pretrained:
            reached = f"pre-training {state.pretrained} layers, which are kept"
        raise StopError(f"stopped after {reached}; go on with --run {folder} --resume")
    progress.say(
        f"best: PSNR {state.best_psnr:.2f} dB in epoch {state.best_epoch}, "
        f"{state.best_psnr - nothing.psnr:+.2f} dB over doing nothing; in {folder}"
    )
    return folder


@dataclass
class _Reports:
    """What is said and kept while a training goes on."""

    options: Options
    network: Network
    optimizer: torch.optim.Optimizer
    feeders: Feeders
    nothing: Scores
    run: Run | None
    progress: Progress
    steps: int
    epoch_steps: int
    device: torch.device

    @property
    def epochs(self) -> int:
        return -(-self.steps // self.epoch_steps)

    def begin_epoch(self, state: State) -> None:
        first = state.epoch * self.epoch_steps
        total = min(self.epoch_steps, self.steps - first)
        self.progress.begin(f"epoch {state.epoch + 1}/{self.epochs}", total, state.step - first)

    def each_step(self, state: State) -> None:
        speed = state.images / max(state.seconds, 1e-9)
        self.progress.reached(state.step - state.epoch * self.epoch_steps, f"{speed:,.0f} images/s")

    def each_epoch(self, state: State, epoch: Epoch) -> bool:
        options = self.options
        self.progress.say(_line(epoch, self.epochs, self.nothing))
        done = state.step >= self.steps
        impatient = bool(options.patience and state.epoch - state.best_epoch >= options.patience)
        if self.run is not None:
            if done or impatient or state.epoch == 1 or state.epoch % options.samples_every == 0:
                self.run.show(state.epoch, *self._samples())
            self.run.record(epoch)
            self.run.save(self.network, self.optimizer, state, best=epoch.is_best)
        if done:
            return True
        if impatient:
            self.progress.say(f"no better PSNR in {options.patience} epochs: stopping early")
        else:
            self.begin_epoch(state)
        return impatient

    def _samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Blurred, restored and sharp images."""
        self.network.eval()
        parts = []
        with torch.no_grad():
            for blurred, sharp in self.feeders.samples:
                with autocast(self.device, self.options.precision):
                    restored = self.network.restore(blurred)
                parts.append((blurred.cpu(), restored.float().cpu(), sharp.cpu()))
        blurred, restored, sharp = (torch.cat(images) for images in zip(*parts, strict=True))
        return blurred, restored, sharp


def _pretrain(reports: _Reports, state: State, world: World, should_stop: Callable[[], bool]) -> bool:
    """Pre-train the layers that are not yet, and keep the network after each; False if asked to stop."""
    assert isinstance(reports.network, Moussaka)  # make_network takes no other
    options, progress = reports.options, reports.progress
    first, other = options.pretrain_steps
    progress.say(f"pre-training layer by layer: {first:,} steps for the first, {other:,} for each other")

    def each_step(layer: int, done: int, total: int) -> None:
        if done == 1:
            progress.begin(f"layer {layer + 1}", total)
        progress.reached(done)

    def each_layer(layer: int, before: float, after: float) -> None:
        progress.say(f"layer {layer + 1}: error {before:.4g} before, {after:.4g} after")
        state.pretrained = layer + 1
        if reports.run is not None:
            reports.run.save(reports.network, reports.optimizer, state)

    layerwise(
        reports.network,
        reports.feeders.train,
        first_steps=first,
        other_steps=other,
        seed=options.seed,
        device=reports.device,
        precision=options.precision,
        begin=state.pretrained,
        each_step=each_step,
        each_layer=each_layer,
        should_stop=should_stop,
    )
    # all processes stop, or none
    return not world.sum(torch.tensor(float(should_stop()), device=reports.device)).item()


# ---- what is said ----


def _describe(
    options: Options,
    data: Data,
    network: Network,
    feeders: Feeders,
    steps: int,
    epoch_steps: int,
    device: torch.device,
    world: World,
    progress: Progress,
) -> None:
    height, width, channels = data.shape
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    processes = f", {world.size} processes" if world.size > 1 else ""
    cut = f", crops of {options.crop}×{options.crop}" if options.crop else ""
    with_blur = f", blurred anew by '{data.said['recipe_name']}'" if options.online else ""
    for line in (
        f"network '{network.kind}': {count_parameters(network):,} parameters; device: {name}, "
        f"{options.precision}{processes}",
        f"pairs of {height}×{width}×{channels}: {len(data.train.index):,} to train with, "
        f"{len(data.held_out.index):,} held out{with_blur}; {feeders.train.place}",
        f"{steps:,} steps of {feeders.train.batch_size} pairs{cut}, {epoch_steps:,} to an epoch; "
        f"{options.loss}, {options.optimizer}, learning rate {options.lr:g}, {options.schedule}; "
        f"seed {options.seed}",
    ):
        progress.say(line)


def _line(epoch: Epoch, epochs: int, nothing: Scores) -> str:
    scores = epoch.scores
    return (
        f"epoch {epoch.number:>{len(str(epochs))}}/{epochs}  loss {epoch.loss:.5g}  "
        f"held out {scores.loss:.5g}  "
        f"PSNR {scores.psnr:.2f} dB  SSIM {scores.ssim:.4f}  gain {scores.psnr - nothing.psnr:+.2f} dB  "
        f"{epoch.images_per_second:,.0f} images/s  data wait {100 * epoch.data_wait:.1f} %"
    )


@contextmanager
def _out_of_memory_said(options: Options) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise FailedTrainingError(
            f"out of memory with batch size {options.batch_size}: try a smaller one (--batch-size), "
            "smaller crops (--crop), or --precision bf16"
        ) from None


# ---- command ----

app = command("fit", "Fit a network to pairs, and show that it works.")


@app.command(epilog="Example: python -m trainers.fit pairs.h5 --model nafnet --epochs 50")
def _command(
    pairs: Annotated[
        str | None,
        typer.Argument(
            help="A pair file; with --online, a pair file or a source of sharp images.", show_default=False
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help=f"The network: {', '.join(sorted(MODELS))}.")] = None,
    model_args: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, an argument of the network; may be repeated.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="mse, mae, bce, charbonnier or psnr (default).")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, adamw (default) or sgd.")] = None,
    lr: Annotated[float | None, typer.Option(help="The first learning rate; 0.001 by default.")] = None,
    optimizer_args: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, such as betas=0.9,0.9; may be repeated.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="constant, staircase or cosine (default).")] = None,
    schedule_args: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: factor, every of staircase; floor, warmup of cosine."),
    ] = None,
    clip: Annotated[float | None, typer.Option(help="The largest norm of all gradients together.")] = None,
    epochs: Annotated[int | None, typer.Option(help=f"How long; {EPOCHS} by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="How long, in steps.")] = None,
    epoch_steps: Annotated[
        int | None, typer.Option(help="Steps of an epoch; by default one pass over the pairs.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="By default 16, or 4 of large images.")] = None,
    crop: Annotated[
        int | None, typer.Option(help="Train with random squares of this side; 0 takes pairs whole.")
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option("--augment/--no-augment", help="Flip pairs, and turn them where they are square."),
    ] = None,
    gray: Annotated[
        bool | None, typer.Option("--gray", help="Take the mean of the channels, for a network of one.")
    ] = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="Share of the source images held out, the last ones; 0.2 by default.")
    ] = None,
    val: Annotated[str | None, typer.Option(help="A pair file to judge by instead.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 (default) or bf16.")] = None,
    compiled: Annotated[bool | None, typer.Option("--compile", help="Compile the network.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; by default a GPU if any.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Fixes all that is random.")] = None,
    # torchrun takes --run for one of its own
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", "--run-folder", help="The folder to write; by default below runs/.", show_default=False
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with --run where it stopped.")] = False,
    weights: Annotated[str | None, typer.Option(help="A run or a file of weights to begin from.")] = None,
    encoder_weights: Annotated[
        str | None, typer.Option(help="Of resnet-encdec: a file of torchvision's resnet50 weights.")
    ] = None,
    pretrain: Annotated[str | None, typer.Option(help="Of moussaka: layerwise.")] = None,
    online: Annotated[str | None, typer.Option(help="A recipe: blur is drawn anew in every pass.")] = None,
    online_on: Annotated[str | None, typer.Option(help="cpu, gpu, or auto (default).")] = None,
    count: Annotated[
        int | None, typer.Option(help="With --online: how many images of the source are taken.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better PSNR.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Pairs on a sample sheet; 8 by default.")] = None,
    samples_every: Annotated[
        int | None, typer.Option(help="Epochs from one sample sheet to the next; 5 by default.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="How many prepare batches.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Settings of a published training, to begin from.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    imports: Imports = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    fit(
        pairs,
        model=model,
        model_args=key_values("--model-args", model_args) or None,
        loss=loss,
        optimizer=optimizer,
        lr=lr,
        optimizer_args=key_values("--optimizer-args", optimizer_args) or None,
        schedule=schedule,
        schedule_args=key_values("--schedule-args", schedule_args) or None,
        clip=clip,
        epochs=epochs,
        steps=steps,
        epoch_steps=epoch_steps,
        batch_size=batch_size,
        crop=crop,
        augment=augment,
        gray=gray,
        val_fraction=val_fraction,
        val=val,
        precision=precision,
        compiled=compiled,
        device=device,
        seed=seed,
        run=run,
        resume=resume,
        weights=weights,
        encoder_weights=encoder_weights,
        pretrain=pretrain,
        online=online,
        online_on=online_on,
        count=count,
        patience=patience,
        samples=samples,
        samples_every=samples_every,
        threads=threads,
        preset=preset,
        dry_run=dry_run,
        quiet=quiet,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    return run_command(app, "fit", argv)


if __name__ == "__main__":
    sys.exit(main())
