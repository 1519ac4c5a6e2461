"""A training as `trainers.fit` assembles it, without what that says and keeps."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.assembly import make_network, make_optimizer
from trainers.data import Feeder, Online
from trainers.distributed import World
from trainers.loop import Epoch, Scores, State, autocast, padded, schedule, train
from trainers.losses import loss_named
from trainers.options import Options
from trainers.rows import open_data


class Training:
    """A network, its optimiser and its feeder, trained a stretch of steps at a time.

    Parameters
    ----------
    options : trainers.options.Options
        Model and batch size are needed; with `online`, the device draws the blur.
    device : torch.device
        Where.
    steps : int
        Of a stretch.
    shuffle : bool
        Whether batches are shuffled.
    resident : bool or None
        As `trainers.data.Feeder` takes it.

    Attributes
    ----------
    feeder : Feeder
        What brings its batches.
    told : list of Epoch
        What the loop said of each stretch so far.
    """

    def __init__(
        self,
        options: Options,
        device: torch.device,
        steps: int,
        *,
        shuffle: bool = True,
        resident: bool | None = None,
    ) -> None:
        assert options.batch_size is not None
        data = open_data(options)
        recipe = data.train.recipe
        self._options, self._device, self._steps = options, device, steps
        self._network = make_network(options, data, device, World())
        self._loss = loss_named(options.loss)
        self._optimizer = make_optimizer(options, self._network, device)
        self._state = State()
        self.told: list[Epoch] = []
        self.feeder = Feeder(
            data.train.rows,
            data.train.index,
            batch_size=options.batch_size,
            device=device,
            seed=options.seed,
            shuffle=shuffle,
            crop=options.crop or None,
            online=None if recipe is None else Online(recipe, on_device=True),
            resident=resident,
        )
        if options.compiled:
            self._network.compile()

    def stretch(self) -> None:
        """Train for a stretch more."""
        options, state = self._options, self._state

        def note(_: State, epoch: Epoch) -> bool:
            self.told.append(epoch)
            return True

        train(
            self._network,
            self.feeder,
            loss=self._loss,
            optimizer=self._optimizer,
            learning_rate=schedule("constant", options.lr, self._steps, {}),
            steps=state.step + self._steps,
            epoch_steps=self._steps,
            validate=lambda: Scores(0.0, 0.0, 0.0),
            each_epoch=note,
            each_step=lambda _: None,
            state=state,
            should_stop=lambda: False,
            device=self._device,
            seed=options.seed,
            precision=options.precision,
        )

    def gradients(self, blurred: Tensor, sharp: Tensor) -> None:
        """Forward, loss and backward, of a batch that is there."""
        with autocast(self._device, self._options.precision):
            restored = padded(self._network, blurred, self._network.stride)
        error = self._loss(restored.float(), sharp)
        self._optimizer.zero_grad(set_to_none=True)
        error.backward()

    def arithmetic(self, blurred: Tensor, sharp: Tensor) -> None:
        """All of a step that is arithmetic, of a batch that is there."""
        self.gradients(blurred, sharp)
        self._optimizer.step()

    def batch(self) -> tuple[Tensor, Tensor]:
        """The first batch, (blurred, sharp), on the device."""
        ((blurred, sharp),) = self.feeder.batches(0, 1)
        return blurred, sharp

    @property
    def waited(self) -> float:
        """The share of time without a batch, in the quickest stretch."""
        return min(self.told, key=lambda epoch: epoch.seconds).data_wait


def settle(device: torch.device) -> None:
    """Wait until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
