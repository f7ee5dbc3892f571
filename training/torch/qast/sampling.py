"""The final synthesis of QAST (B.8): candidates from noise, judged by discriminator and committee, best first.

Takes trained networks, the encoder and the committee; gives labelled raw rows with confidence, votes and quality.

Shapes: B candidates, E encoded width, K classes, d features.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.torch.course import seeded
from training.torch.qast import gate
from training.torch.qast.course import Judge
from training.torch.qast.donors import Donors
from training.torch.qast.encoder import Encoder
from training.torch.qast.moves import Adversaries
from training.trainer import Floats

Codes = NDArray[np.int64]
Doubles = NDArray[np.float64]

CANDIDATES_AT_ONCE = 4096  # bounds the memory of a round
RANKED = 64  # candidates of a class in a round at least, for ranks among them to mean something
SURPLUS = 4  # rows kept for each one wanted, to choose the best from; more would spend the budget on a finer choice
SYNTHESIS_STREAM = 3
BEST = 1  # the bucket of rows that nobody votes against

logger = logging.getLogger(__name__)


class Samples(NamedTuple):
    """Synthetic rows, best first within a class.

    Attributes:
        features: raw rows, (n, d) float32.
        labels: class code of each.
        confidence: the committee's probability of the label.
        votes: votes for the label, of seven.
        quality: how real the discriminator found the row, sigmoid of its output.
        bucket: 1 for seven votes, 2 for five or more, 3 for three or more.
    """

    features: Floats
    labels: Codes
    confidence: Doubles
    votes: Doubles
    quality: Doubles
    bucket: Codes

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Samples":
        """Return some of the rows."""
        parts: list[Any] = [part[rows] for part in self]
        return Samples(*parts)


class Outcome(NamedTuple):
    """A synthesis: its `samples`, `generated` candidates by class asked for, `accepted` rows by class received."""

    samples: Samples
    generated: dict[int, int]
    accepted: dict[int, int]


@dataclass(frozen=True)
class Synthesizer:
    """All that rows are made of.

    Attributes:
        adversaries: trained networks.
        encoder: raw rows to encoded ones and back.
        judge: the committee's opinions of encoded rows.
        num_classes: K.
        noise_classes: codes of the classes that the generator was trained to make from noise.
        donors: give rows the features that they are not made in; None where rows are made in all.
    """

    adversaries: Adversaries
    encoder: Encoder
    judge: Judge
    num_classes: int
    noise_classes: tuple[int, ...]
    donors: Donors | None = None

    def synthesize(self, wanted: Mapping[int, int], *, budget: int, seed: int) -> Outcome:
        """Make rows of some classes.

        Repaired (`balanced`): classes are asked for until each has its rows in the best bucket, or four times as
        many in any, or the budget is spent. As published: labels over all classes, and the whole budget.

        Args:
            wanted: rows by class code.
            budget: candidates in all.
            seed: of all draws.
        """
        wanted = {code: rows for code, rows in wanted.items() if rows}
        generated, accepted = dict.fromkeys(self.noise_classes, 0), dict.fromkeys(wanted, 0)
        best, keep = self._none(), SURPLUS if self.adversaries.settings.balanced else 1
        for number in count():
            left = min(CANDIDATES_AT_ONCE, budget - sum(generated.values()))
            codes = self._asked(wanted, best, left, random=np.random.default_rng([seed, SYNTHESIS_STREAM, number]))
            if not len(codes):
                break
            found = self._round(codes, (seed, SYNTHESIS_STREAM, number))
            _add(generated, codes)
            _add(accepted, found.labels[np.isin(found.labels, list(wanted))])
            best = self._best(_joined(best, found), wanted, keep)
        best = self._best(best, wanted, 1)
        if self.donors:
            best = best._replace(features=self.donors.whole(best.features, best.labels, seed=seed))
        return Outcome(best, generated, accepted)

    def _asked(self, wanted: Mapping[int, int], best: Samples, rows: int, *, random: np.random.Generator) -> Codes:
        """Return the classes of a round's candidates, at most `rows`; none when all is done."""
        if not wanted or rows < 1:
            return np.empty(0, np.int64)
        if not self.adversaries.settings.balanced:
            return random.choice(self.noise_classes, rows)
        return _short(wanted, best, rows)

    def _round(self, codes: Codes, stream: tuple[int, ...]) -> Samples:
        """Make candidates and judge them as they are in raw space: what is judged was decoded and encoded again."""
        settings, device = self.adversaries.settings, self.adversaries.generator.last.weight.device
        with seeded(*stream, device=device), torch.no_grad():
            labels_BK = torch.eye(self.num_classes, device=device)[torch.from_numpy(codes).to(device)]
            features = self.encoder.decode(self._generated(labels_BK).cpu().numpy())
            encoded = self.encoder.encode(features)
            quality = self.adversaries.quality(torch.from_numpy(encoded).to(device), labels_BK).cpu().numpy()
        opinions = self.judge(encoded)
        found = gate.final_buckets(quality, codes, opinions, settings=settings)
        votes = gate.votes_for(opinions, found.labels)
        samples = Samples(features, found.labels, found.confidence, votes, quality.astype(np.float64), found.buckets)
        return samples.take(gate.final_order(found, settings=settings))

    def _generated(self, labels_BK: Tensor) -> Tensor:
        generator = self.adversaries.generator
        generator.train(self.adversaries.settings.inference == "train")
        parts = []
        for labels in torch.split(labels_BK, generator.rows_at_once):
            noise_BN = generator.noise(len(labels))
            parts.append(generator(noise_BN[:, : generator.width], labels, noise_BN[:, generator.width :]))
        return torch.cat(parts)

    def _best(self, found: Samples, wanted: Mapping[int, int], keep: int) -> Samples:
        """Return the first rows of each wanted class, `keep` for each row that is wanted."""
        order = gate.final_order(
            gate.Sorted(found.bucket, found.labels, found.confidence), settings=self.adversaries.settings
        )
        labels = found.labels[order]
        parts = [order[labels == code][: keep * rows] for code, rows in wanted.items()]
        return found.take(np.concatenate(parts) if parts else np.empty(0, np.intp))

    def _none(self) -> Samples:
        nothing = np.empty((0, len(self.encoder.columns)), np.float32)
        codes, reals = np.empty(0, np.int64), np.empty(0)
        return Samples(nothing, codes, reals, reals, reals, codes)


def _short(wanted: Mapping[int, int], best: Samples, rows: int) -> Codes:
    """Return the classes to ask for next, as many of each class that is short as it lacks, but not too few."""
    missing: dict[int, int] = {}
    for code, number in wanted.items():
        own = best.bucket[best.labels == code]
        if (own == BEST).sum() < number and len(own) < SURPLUS * number:
            missing[code] = max(RANKED, SURPLUS * number - len(own))
    share = min(1.0, rows / max(1, sum(missing.values())))
    asked = [np.full(max(1, int(number * share)), code) for code, number in missing.items()]
    return np.concatenate(asked)[:rows] if asked else np.empty(0, np.int64)


def _joined(one: Samples, other: Samples) -> Samples:
    parts: list[Any] = [np.concatenate([first, second]) for first, second in zip(one, other, strict=True)]
    return Samples(*parts)


def _add(counts: dict[int, int], codes: Codes) -> None:
    for code, rows in zip(*np.unique(codes, return_counts=True), strict=True):
        counts[int(code)] = counts.get(int(code), 0) + int(rows)
