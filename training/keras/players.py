"""The networks of an adversarial trainer and the moves that they take in turn.

Takes moves from a method; gives `Players`, which train all members at once and hand their state to checkpoints.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.dense_network import DenseNetwork
from training.keras import backends
from training.settings import SemiSupervisedSettings
from training.trainer import TrainingDiverged

Tensor = Any
Variable = Any
State = dict[str, NDArray[Any]]


class Move(NamedTuple):
    """One update within a training step.

    Attributes:
        name: of its loss, in the record.
        loss: from the step's batch to (M,) losses.
        variables: what it may change, and nothing else does.
        optimizer: a Keras optimizer; moves may share one.
    """

    name: str
    loss: Callable[[Any], Tensor]
    variables: Sequence[Variable]
    optimizer: Any

    def take(self, batch: Any) -> Tensor:  # noqa: ANN401  (each method has its own batch)
        """Update the variables once; return the losses before it, (M,)."""
        return backends.minimize(lambda: self.loss(batch), self.variables, self.optimizer)


@dataclass(frozen=True)
class Players:
    """Networks of all members.

    Attributes:
        moves: the updates of one step, in order.
        variables: every weight, for checkpoints.
        networks: copies the networks that make the artifact to numpy, member after member.
    """

    moves: tuple[Move, ...]
    variables: tuple[Variable, ...]
    networks: Callable[[], list[DenseNetwork]]

    def __post_init__(self) -> None:
        for optimizer in self._optimizers():
            moved = [v for move in self.moves if move.optimizer is optimizer for v in move.variables]
            optimizer.build(list({id(variable): variable for variable in moved}.values()))

    @property
    def members(self) -> int:
        """Networks trained at once."""
        return int(self.variables[0].shape[0])

    def stretch(
        self, draw: Callable[[Any, Tensor], Any], *, xla: bool | None
    ) -> Callable[[int, int, Any], Mapping[str, NDArray[np.float32]]]:
        """Return a call that takes many steps on the device.

        Args:
            draw: from the data and a step's number to the step's batch.
            xla: compile by XLA; see `backends.stretch`.

        Returns:
            From the first step's number, the number of steps and the data to mean losses by name, (M,) each; it
            raises `TrainingDiverged` where one of them is no longer a number.
        """

        def step(number: Tensor, data: Any) -> Tensor:  # noqa: ANN401
            batch = draw(data, number)
            return ops.stack([move.take(batch) for move in self.moves])

        run = backends.stretch(step, (len(self.moves), self.members), xla=xla)

        def checked(first: int, num: int, data: Any) -> Mapping[str, NDArray[np.float32]]:  # noqa: ANN401
            means = dict(zip((move.name for move in self.moves), run(first, num, data), strict=True))
            _check_finite(means, first, num)
            return means

        return checked

    def state(self) -> State:
        """Copy every weight and optimizer variable to named arrays."""
        everything = enumerate(self._everything())
        return {str(number): np.array(ops.convert_to_numpy(variable)) for number, variable in everything}

    def restore(self, state: State) -> None:
        """Set every variable to what `state` gave."""
        for number, variable in enumerate(self._everything()):
            variable.assign(state[str(number)])

    def _optimizers(self) -> list[Any]:
        return list({id(move.optimizer): move.optimizer for move in self.moves}.values())

    def _everything(self) -> list[Variable]:
        return [*self.variables, *(variable for optimizer in self._optimizers() for variable in optimizer.variables)]


def supervised_adam(settings: SemiSupervisedSettings) -> Any:  # noqa: ANN401  (a Keras optimizer)
    """Return the authors' optimizer of the supervised loss."""
    decayed = keras.optimizers.schedules.ExponentialDecay(
        settings.supervised_rate, decay_steps=500, decay_rate=0.96, staircase=True
    )
    return keras.optimizers.Adam(decayed, beta_1=0.5, beta_2=0.9)


def adversarial_adam(rate: float) -> Any:  # noqa: ANN401  (a Keras optimizer)
    """Return the authors' optimizer of the unsupervised and the generator's loss."""
    return keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.999)


def _check_finite(means: Mapping[str, NDArray[np.float32]], first: int, num: int) -> None:
    if not all(np.isfinite(loss).all() for loss in means.values()):
        found = {name: loss.tolist() for name, loss in means.items()}
        raise TrainingDiverged(
            f"between steps {first} and {first + num} the members' losses became {found}; "
            "lower the learning rates, and look for extreme values among the features"
        )
