"""Batches cut anywhere are cut anew between entities: none is split, moved or lost."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction.extract import whole_entities


def frame(entities):
    return pd.DataFrame({"entity_id": entities, "row": range(len(entities))}).astype({"entity_id": object})


@given(st.lists(st.integers(1, 6), max_size=8), st.lists(st.integers(0, 50), max_size=10))
def test_no_entity_is_split_or_reordered(sizes, cuts):
    rows = frame([f"e{i}" for i, size in enumerate(sizes) for _ in range(size)])
    places = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    batches = [rows.iloc[a:b] for a, b in zip(places, places[1:], strict=False)]
    found = list(whole_entities(batches))
    assert all(len(batch) for batch in found)
    assert [row for batch in found for row in batch["row"]] == list(range(len(rows)))
    seen = [entity for batch in found for entity in batch["entity_id"].unique()]
    assert len(seen) == len(set(seen)) == len(sizes)


def test_a_finished_entity_is_given_before_the_next_batch_is_asked_for():
    given_out = []

    def batches():
        for number in range(3):
            given_out.append(number)
            yield frame([f"e{number}", f"e{number}", f"f{number}"])

    first = next(whole_entities(batches()))
    assert first["entity_id"].tolist() == ["e0", "e0"]
    assert given_out == [0]
