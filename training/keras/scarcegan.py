"""ScarceGAN: a semi-supervised GAN for a rare class among several weakly labelled negative ones.

After Chakrabarty, Talwadker and Mukherjee, "ScarceGAN: Discriminative Classification Framework for Rare
Class Identification for Longitudinal Data with Weak Prior", CIKM 2021, DOI 10.1145/3459637.3482474. Takes a
reader; gives an artifact whose classes are the known ones and `unknown`.

1. Labels of two classes only are refined: the regular rows become weak negative classes by activity.
2. The discriminator sees class-balanced labelled rows. Each negative leaves a share of its target, the
   leeway, to the output `unknown`; the rare class leaves none. A label of confidence c leaves 1 - (1 - leeway) c.
3. It sees unlabelled rows as real and generated rows as fake; the unlabelled batch's mean share of known
   rows is drawn towards an expected one.
4. The generator is a "bad" one: its features match those of the unlabelled batch in the mean (feature
   matching), point in different directions (pull-away), and shun what the discriminator is sure of (low
   density).
5. Every few steps the networks are measured on labelled rows that they do not learn from, and those with the
   best average precision of the rare class are kept; of equal ones, those with the lower loss. Each member of
   the ensemble holds out another fold and the folds are ranked together, as a fold alone has few rare rows.

Steps 2 to 4 keep the terms of the authors' public description and are repaired where their published code does
something else: one head of K + 2 logits instead of two heads with two unrelated unknowns; the term on known
rows acts on the batch mean instead of giving each row one constant target; features are matched to unlabelled
instead of labelled rows; pull-away normalises each row instead of the whole matrix, where it was a thousand
times too small; the low-density term takes part; a generator step leaves the discriminator alone, where
freezing it had no effect; the best networks are used, not the last; the terms on false alarms, which had no
gradient, are left out. Sizes of the networks, learning rates and leeway are theirs. Steps 1 and 5 and the
ensemble are ours.

`mode = "as_published"` takes the losses and updates of that code instead, with `trunk_leak` also its
generator's step on the discriminator, for comparison; scaling, networks and step 5 stay ours, and `folds = 0` keeps
the last networks as it does. The ablations are fields: `generator` and `leeway`; each class below changes one default.
"""

from typing import ClassVar

import numpy as np

from feature_extraction.schema import UNKNOWN
from training.dense_network import DenseNetworkArtifact
from training.keras import fitting, losses, scarcegan_moves
from training.settings import (
    LeewayMLPSettings,
    MLPSettings,
    ScarceGANNoBadGeneratorSettings,
    ScarceGANNoLeewaySettings,
    ScarceGANSettings,
)
from training.trainer import Floats, Reader
from training.weak_labels import WeakLabels, warn_if_unknown_is_inert


class ScarceGAN(ScarceGANSettings):
    """An ensemble of ScarceGANs that differ in their seed and in the fold they hold out."""

    trainer: ClassVar[str] = "scarcegan"

    def fit(self, reader: Reader) -> DenseNetworkArtifact:
        """Learn from labelled and unlabelled rows.

        Args:
            reader: a feature table with rows of the rare class, of at least one other, and without label; where
                it `RatesLabels`, its confidences widen the leeway of single rows.

        Returns:
            An artifact over the known classes and `unknown`; its probabilities are those of balanced classes.

        Raises:
            ValueError: no labelled row is rare, all are of one class, or a class has one row only.
            TrainingDiverged: a loss is no longer a number.
        """
        method = fitting.Method(
            name=self.trainer,
            extra_classes=(UNKNOWN,),
            targets=self._targets,
            players=lambda inputs, known, seeds: scarcegan_moves.players(self, inputs, known, seeds),
        )
        return fitting.fit(self, reader, method)

    def _targets(self, weak: WeakLabels) -> Floats:
        """Return each class's soft target, (known classes, known classes and unknown)."""
        leeway = self._leeway(weak)
        warn_if_unknown_is_inert(weak.classes, weak.rare, leeway)
        shares = np.array([leeway[name] for name in weak.classes], dtype=np.float32)
        if self.mode == "as_published":
            return losses.published_targets(shares, weak.rare_code, 1 - self.leeway)
        return losses.leeway_targets(shares)

    def _leeway(self, weak: WeakLabels) -> dict[str, float]:
        strange = sorted(set(self.class_leeway) - set(weak.classes))
        if strange:
            raise ValueError(
                f"class_leeway names {strange}, which are not among the classes {list(weak.classes)}; "
                "name the classes that training uses, after the regular one was split by activity"
            )
        leeway = {name: self.class_leeway.get(name, self.leeway) for name in weak.classes}
        return leeway | {weak.rare: self.class_leeway.get(weak.rare, 0.0)}


class NoBadGenerator(ScarceGANNoBadGeneratorSettings, ScarceGAN):
    """ScarceGAN with an ordinary, adversarial generator."""

    trainer: ClassVar[str] = "scarcegan_no_bad_generator"


class NoLeeway(ScarceGANNoLeewaySettings, ScarceGAN):
    """ScarceGAN without leeway; `unknown` stays an output that no label asks for."""

    trainer: ClassVar[str] = "scarcegan_no_leeway"


class LeewayMLP(LeewayMLPSettings, ScarceGAN):
    """ScarceGAN's classifier with leeway and without a GAN: the control that shows what the GAN adds."""

    trainer: ClassVar[str] = "leeway_mlp"


class MLP(MLPSettings, ScarceGAN):
    """ScarceGAN's classifier with neither leeway nor a GAN."""

    trainer: ClassVar[str] = "mlp"
