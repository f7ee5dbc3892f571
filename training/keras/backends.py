"""One optimizer step, and many steps in one call: all that the Keras trainers ask of a backend beyond `keras.ops`.

TensorFlow compiles the whole stretch between two looks; torch runs it step by step. jax is left out: its compiled
functions may not assign variables, so every network and optimizer would have to be handed through as arguments.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version as package_version
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

Tensor = Any
Variable = Any
Step = Callable[[Tensor, Any], Tensor]

BACKENDS = ("tensorflow", "torch")
BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf


def prepare() -> None:
    """Make the backend deterministic; raise ValueError where it is none that the trainers run on."""
    if BACKEND not in BACKENDS:
        raise ValueError(
            f"Keras runs on {BACKEND!r}, this trainer needs one of {list(BACKENDS)}; "
            "set KERAS_BACKEND=tensorflow before the program starts"
        )
    if BACKEND == "tensorflow":  # draws are stateless and layers get seeds, so no global seed is set
        tf.config.experimental.enable_op_determinism()


def version() -> str:
    """Return the backend's version; TensorFlow's package has one of several names."""
    return str(tf.__version__) if BACKEND == "tensorflow" else package_version(BACKEND)


def minimize(loss: Callable[[], Tensor], variables: Sequence[Variable], optimizer: Any) -> Tensor:  # noqa: ANN401
    """Take one optimizer step on the losses of all members, and return them as they were before it.

    Args:
        loss: gives (M,), each from the weights of its member alone, so that their sum has each one's own gradient.
        variables: what may move, and nothing else does.
        optimizer: a Keras optimizer that is elementwise, such as Adam.
    """
    values = [variable.value for variable in variables]
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            losses_M = loss()
        gradients = tape.gradient(losses_M, values)
    else:
        losses_M = loss()
        ops.sum(losses_M).backward(inputs=values)
        gradients = [value.grad for value in values]
        for value in values:
            value.grad = None
    optimizer.apply(gradients, list(variables))
    return ops.stop_gradient(losses_M)


def stretch(step: Step, shape: tuple[int, int], *, xla: bool | None) -> Callable[[int, int, Any], NDArray[np.float32]]:
    """Turn one step into a call that takes many and returns its mean losses.

    Args:
        step: from the step's number, int64, and the data, a tuple of tensors, to losses of `shape`.
        shape: losses of a step by members.
        xla: compile by XLA; None where there is a GPU, on which each of a step's thousand small operations would
            have to be started on its own.

    Returns:
        From the first step's number, the number of steps and the data to the losses' means over the steps. The
        data of all calls has the same shapes.
    """
    if BACKEND == "tensorflow":
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        return _compiled(step, shape, xla=has_gpu if xla is None else xla)

    def run_each(first: int, num: int, data: Any) -> NDArray[np.float32]:  # noqa: ANN401
        losses = [step(ops.convert_to_tensor(first + number, dtype="int64"), data) for number in range(num)]
        return np.asarray(ops.convert_to_numpy(ops.mean(ops.stack(losses), axis=0)))

    return run_each


def _compiled(step: Step, shape: tuple[int, int], *, xla: bool) -> Callable[[int, int, Any], NDArray[np.float32]]:
    @tf.function(jit_compile=xla, autograph=False)  # type: ignore[untyped-decorator]
    def run(first: Tensor, num: Tensor, data: Any) -> Tensor:  # noqa: ANN401
        def once(number: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            return number + 1, total + step(first + number, data)

        begin = (tf.constant(0, tf.int64), tf.zeros(shape))
        _, total = tf.while_loop(lambda number, total: number < num, once, begin)
        return total / tf.cast(num, tf.float32)

    traced: list[Any] = []

    def call(first: int, num: int, data: Any) -> NDArray[np.float32]:  # noqa: ANN401
        arguments = (tf.constant(first, tf.int64), tf.constant(num, tf.int64), data)
        if not traced:  # once for every training; TensorFlow would warn of the sixth training in a process
            traced.append(run.get_concrete_function(*arguments))
        return np.asarray(traced[0](*arguments))

    return call
