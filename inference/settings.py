"""Settings of scoring and explanation: the run file's `[score]`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from feature_extraction.settings import Section

Share = Annotated[float, Field(gt=0, lt=1)]


class CardSettings(Section):
    """What the model card says that no figure can: set it to what your organisation has decided."""

    intended_use: str = Field(
        "To choose what people who know the domain look at first. A listed entity is a reason to look, not a finding.",
        description="What the list is for; the model card of the report says it.",
    )
    sensitive_use: str = Field(
        "Not to decide anything about a person by itself: no account closed, payment refused, treatment changed or "
        "accusation made on a score alone. Nobody has measured here whether some groups of people are listed more "
        "often than others, wrongly or rightly; measure it before the list is used on people.",
        description="What the list must not be used for; the model card of the report says it.",
    )


class ScoreSettings(Section):
    """What reviewers can take on."""

    alerts: int = Field(200, ge=1, description="How many entities people can review: the budget.")
    review: Literal["unlabeled", "all"] = Field(
        "unlabeled", description="Who may fill the budget; an entity with a known label needs no review."
    )
    threshold: Literal["budget", "precision", "recall"] = Field(
        "budget",
        description="Where the list ends: when the budget is spent, or, if that is earlier, at the score above which "
        "the target's share of entities is to be expected to be rare (precision) or, of the rare ones, to be found.",
    )
    target: float | None = Field(
        None, gt=0, le=1, description="Expected precision or recall at which the list ends; only with a threshold."
    )
    calibration: Literal["auto", "isotonic", "platt", "none"] = Field(
        "auto",
        description="How scores become probabilities, on rows held out from training; auto is isotonic regression "
        "from 1,000 rows and 100 rare ones on, Platt's sigmoid with fewer.",
    )
    population_share: Share | Literal["labels"] | None = Field(
        None,
        description="Share of rare entities among all, where it is known; 'labels', the share among labelled ones, "
        "where these were drawn at random; if empty it is estimated from the scores of entities without label.",
    )
    reasons: int = Field(5, ge=1, description="Reasons given for each alert.")
    stories: int = Field(8, ge=0, description="Entities at the top of the list whose series the report draws.")
    neighbors: int = Field(
        3, ge=0, description="Nearest labelled rare entities, and as many regular ones, named for each alert."
    )
    counterfactual: int = Field(
        5,
        ge=0,
        description="Facts that may be changed to bring an alert below the line, to tell what it hangs on; 0: none.",
    )
    translation: int = Field(
        5,
        ge=0,
        description="Features named of what the model would change to make a rare entity of the nearest regular one, "
        "where it is one that can (mgvae); 0: none.",
    )
    card: CardSettings = Field(CardSettings(), description="What the model card of the report says of its use.")

    @model_validator(mode="after")
    def _target_and_threshold_go_together(self) -> Self:
        if self.target is not None and self.threshold == "budget":
            raise ValueError(
                f"target = {self.target} has no threshold to act on; set threshold = 'precision' or 'recall' with it, "
                "or leave it out: the list then ends with the budget"
            )
        if self.target is None and self.threshold != "budget":
            raise ValueError(f"threshold = '{self.threshold}' needs a target from 0 to 1, such as target = 0.5")
        if self.threshold == "precision" and self.calibration == "none" and self.population_share is None:
            raise ValueError(
                "threshold = 'precision' needs the share of rare entities, which no calibration is there to estimate; "
                "set population_share, or leave calibration at 'auto'"
            )
        return self
