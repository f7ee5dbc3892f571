"""Settings of `auto`; importing them loads no library that trains."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from training.settings import Settings
from training.trainer import TRAINERS

NAME = "auto"


def _trainers(names: tuple[str, ...]) -> tuple[str, ...]:
    strange = [name for name in names if name not in TRAINERS or name == NAME]
    if strange:
        raise ValueError(f"{strange} cannot be members; expected some of {sorted(set(TRAINERS) - {NAME})}")
    if len(set(names)) < len(names):
        raise ValueError(f"a member is named twice: {list(names)}")
    return names


Names = Annotated[tuple[str, ...], AfterValidator(_trainers)]


class AutoSettings(Settings):
    """Which methods are tried, and how it is decided which to take."""

    seed: int = Field(0, ge=0, description="Seed of the members, and of the splits they are compared on.")
    members: Names = Field(
        ("logistic_regression", "kernel_logistic_regression", "extra_trees", "gradient_boosting"),
        min_length=1,
        description="Methods that are always tried.",
    )
    many_label_members: Names = Field(
        ("gradient_boosting_plain", "random_forest"),
        description="Methods tried as well where rare labels are many; of few, more trees make the choice worse.",
    )
    few_label_members: Names = Field(
        (),
        # None by default: ScarceGAN as one more member, 20 and 50 labels, 5 seeds: -0.013 to +0.005 on two logs.
        description="Methods tried as well where rare labels are few and rows without label exist, such as "
        "self_training or scarcegan.",
    )
    few: int = Field(50, ge=0, description="Labelled rare rows up to which they are few.")
    member_settings: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings of single members by name, instead of their defaults."
    )
    take: Literal["auto", "best", "blend"] = Field(
        "auto",
        description="'auto' decides by nested validation, 'best' takes the best member, 'blend' all members alike.",
    )
    repeats: int = Field(20, ge=2, description="Times that the held-out rows are halved at random to compare on.")
    slow_members: Names = Field(
        ("random_forest",), description="Methods that are left out where the labelled table is large."
    )
    slow_cells: int = Field(
        20_000_000, ge=1, description="Labelled rows x features above which the labelled table is large."
    )

    @property
    def all_members(self) -> tuple[str, ...]:
        """Every method that some table is tried with, each once."""
        return tuple(dict.fromkeys((*self.members, *self.many_label_members, *self.few_label_members)))
