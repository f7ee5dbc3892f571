"""Settings of scoring and explanation: the run file's `[score]`."""

from typing import Literal

from pydantic import Field

from feature_extraction.settings import Section


class ScoreSettings(Section):
    """What reviewers can take on."""

    alerts: int = Field(200, ge=1, description="How many entities people can review: the budget.")
    review: Literal["unlabeled", "all"] = Field(
        "unlabeled", description="Who may fill the budget; an entity with a known label needs no review."
    )
    reasons: int = Field(5, ge=1, description="Reasons given for each alert.")
    stories: int = Field(8, ge=0, description="Entities at the top of the list whose series the report draws.")
