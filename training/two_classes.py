"""Methods that tell rare rows from all others, whatever classes the labels tell apart."""

from feature_extraction.schema import FeatureSchema


def rare_or_not(schema: FeatureSchema) -> tuple[str, ...]:
    """Return the two classes of such a method: the rare one and, by its name if there is but one, what is not rare."""
    return schema.classes if len(schema.classes) == 2 else (f"not {schema.rare}", schema.rare)
