"""Several processes that train one model together: what they know of each other, and how they agree.

A process finds the others by the variables that torchrun sets, and talks to them by NCCL between GPUs and by gloo
else. Alone it is a group of one, so that a trainer is written once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")
# After which a process that waits for one that is gone gives up; a slow read between two steps is no reason to.
SILENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Group:
    """The processes that train together, seen from one of them.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank, to all of them."""
        if self.size == 1:
            return [value]
        values = [value] * self.size
        distributed.all_gather_object(values, value)
        return values

    def share(self, value: T) -> T:
        """Return the value of process 0 to all."""
        return self.gather(value)[0]

    def wrap(self, network: nn.Module) -> nn.Module:
        """Let all processes start with the weights of process 0, and take each step on the mean of their gradients."""
        return network if self.size == 1 else DistributedDataParallel(network)


def current() -> Group:
    """Return the group that this process has joined; one of its own if it has joined none."""
    if not distributed.is_initialized():
        return Group()
    return Group(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def joined() -> Iterator[Group]:
    """Join the processes that torchrun started, if it started several."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=SILENCE)
    try:
        yield current()
    finally:
        distributed.destroy_process_group()
