"""Which device torch trains on."""

import torch

from training.torch.second_stage_settings import Device


def device_of(name: Device) -> torch.device:
    """Return the device of a setting; 'auto' takes a GPU if there is one.

    Raises:
        ValueError: 'cuda' is asked for and torch finds no GPU.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ValueError("device is 'cuda', but torch finds no GPU; set device = 'auto' or 'cpu', or check the driver")
    return torch.device("cuda" if found and name != "cpu" else "cpu")
