"""A trained IMSIC: rows of any class from noise and codes, and the codes and factors of any row.

Takes raw rows and class codes to learn from; gives synthetic rows, factors, what each code changes, and files that hold
it all.

Shapes: N rows, B generated ones, W columns of an encoded row, K codes and factors, V values of a code.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from training.artifact import pack_arrays, unpack_arrays
from training.torch.augmentation import codec
from training.torch.augmentation.codec import Codec
from training.torch.augmentation.settings import steps_for
from training.torch.augmentation.task import Samples, Task
from training.torch.course import Place, seeded
from training.torch.devices import device_of
from training.torch.imsic import course
from training.torch.imsic.artifact import VALUES
from training.torch.imsic.cloud import REASONS, Cloud
from training.torch.imsic.course import Lesson, Look, Players
from training.torch.imsic.files import CLOUDS, CODEC, NETWORKS
from training.torch.imsic.graph import Graph
from training.torch.imsic.networks import Causes, Discriminator
from training.torch.imsic.networks import Generator as Network
from training.torch.imsic.settings import IMSICSettings
from training.torch.imsic.structure import Structure
from training.trainer import Floats

Doubles = NDArray[np.float64]

NETWORK_STREAM, STEP_STREAM, STORED_STREAM, SAMPLE_STREAM, TRAVERSE_STREAM, FRESH_STREAM = range(6)
ROWS_AT_ONCE = 4096  # bounds the memory of a pass
LEAST_TRIED = 64  # candidates at once
JUDGEMENTS = 2  # that every row which is given has passed


class Drawn(NamedTuple):
    """Rows that passed, how many were tried for them, and how many were refused by reason: class, copy or junk."""

    samples: Samples
    tried: int
    refused: dict[str, int]


class Traversal(NamedTuple):
    """What a code changes: raw rows (V, B, d), those of one place alike but for the code, which takes each value."""

    factor: str
    values: tuple[float, ...]
    features: Floats


@dataclass(frozen=True)
class Generator:
    """All that rows are made of.

    Attributes:
        codec: raw rows to encoded ones and back.
        network: the mean over steps of the generator's weights.
        discriminator: gives classes and factors.
        clouds: real rows of each class, by code.
        graph: of the factors.
        settings: of the method.
    """

    codec: Codec
    network: Network
    discriminator: Discriminator
    clouds: Mapping[int, Cloud]
    graph: Graph
    settings: IMSICSettings

    def sample(self, code: int, rows: int, *, seed: int) -> Samples:
        """Make rows of a class, the surest first; fewer than asked for where too many are refused."""
        return self.draw(code, rows, seed=seed).samples

    def draw(self, code: int, rows: int, *, seed: int) -> Drawn:
        """Make rows of a class, the surest first, and count those that were refused."""
        random = np.random.default_rng([seed, SAMPLE_STREAM, code])
        parts: list[Samples] = []
        kept = tried = 0
        refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        with seeded(seed, SAMPLE_STREAM, code, device=self._device):
            while kept < rows and tried < rows * self.settings.attempts:
                number = min(max(LEAST_TRIED, 2 * (rows - kept)), ROWS_AT_ONCE, rows * self.settings.attempts - tried)
                passed, because = self._candidates(code, number, random)
                parts.append(passed)
                kept, tried, refused = kept + len(passed.labels), tried + number, refused + Counter(because)
        counts = {reason: refused[reason] for reason in REASONS}
        return Drawn(_best(parts, rows, self.codec), tried, counts)

    def _candidates(self, code: int, rows: int, random: np.random.Generator) -> tuple[Samples, dict[str, int]]:
        cloud = self.clouds[code]
        codes = cloud.draw(rows, jitter=self.settings.jitter, ranges=self.graph.ranges(), random=random)
        noise = self.settings.noise_spread * self._noise(rows)
        features = self.codec.decode(self._made(code, noise, codes))
        encoded = self.codec.encode(features)
        confidence = self._confidence(encoded, code)
        found = cloud.judge(encoded, confidence, self.settings.least_confidence)
        labels, votes = np.full(rows, code, np.int64), np.full(rows, float(JUDGEMENTS))
        passed = Samples(features, labels, confidence, votes, found.quality).take(found.kept)
        return passed, {reason: int(rows.sum()) for reason, rows in found.reasons.items()}

    def encode_codes(self, features: Floats) -> Floats:
        """Return the factors c' of raw rows, (n, K)."""
        return self._factors(self.codec.encode(np.asarray(features, np.float32)))

    def traverse(
        self, code: int, factor: int | str, *, values: Sequence[float] = VALUES, rows: int = 8, seed: int = 0
    ) -> Traversal:
        """Let the code of one factor take each value, all else that rows of a class are made of staying as it is."""
        place = self.graph.names.index(factor) if isinstance(factor, str) else factor
        random = np.random.default_rng([seed, TRAVERSE_STREAM, code])
        codes = self.clouds[code].draw(rows, jitter=0.0, ranges=self.graph.ranges(), random=random)
        features = []
        for value in values:
            codes[:, place] = value
            with seeded(seed, TRAVERSE_STREAM, code, device=self._device):
                features.append(self.codec.decode(self._made(code, self._noise(rows), codes)))
        return Traversal(self.graph.names[place], tuple(map(float, values)), np.stack(features))

    def correlations(self, *, rows: int = 4000, seed: int = 0) -> Doubles:
        """Return the correlation of each factor with each code over fresh rows of all classes, (K, K)."""
        codes, factors, _ = self.fresh(rows=rows, seed=seed)
        count = codes.shape[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.corrcoef(factors.T, codes.T)[:count, count:]
        return np.nan_to_num(np.asarray(found, np.float64))  # a constant factor goes with nothing

    def fresh(self, *, rows: int, seed: int = 0) -> tuple[Floats, Floats, float]:
        """Make rows of all classes by uniform codes; return codes, factors and the class head's share of right ones."""
        classes = sorted(self.clouds)
        random = np.random.default_rng([seed, FRESH_STREAM])
        parts, right = [], []
        with seeded(seed, FRESH_STREAM, device=self._device):
            for number, code in enumerate(classes):
                own = rows // len(classes) + (number < rows % len(classes))
                codes = random.uniform(-1, 1, (own, len(self.graph.names))).astype(np.float32)
                encoded = self._made(code, self._noise(own), codes)
                parts.append((codes, self._factors(encoded)))
                right.append(self._chances(encoded).argmax(axis=1) == code)
        codes, factors = map(np.concatenate, zip(*parts, strict=True))
        return codes, factors, float(np.concatenate(right).mean())

    @property
    def _device(self) -> torch.device:
        return self.discriminator.validity.weight.device

    def _noise(self, rows: int) -> torch.Tensor:
        return torch.randn((rows, self.settings.noise_dim), device=self._device)

    def _made(self, code: int, noise_BZ: torch.Tensor, codes: Floats) -> Floats:
        labels_B = torch.full((len(noise_BZ),), code, device=self._device)
        causes = Causes(noise_BZ, labels_B, torch.from_numpy(codes).to(self._device))
        with torch.no_grad():
            made_BW: Floats = self.network(causes, self.settings.temperatures[1]).cpu().numpy()
        return made_BW

    def _factors(self, encoded: Floats) -> Floats:
        parts = [np.empty((0, len(self.graph.names)), np.float32)]
        with torch.no_grad():
            parts += [self.discriminator.extract(rows_BW).cpu().numpy() for rows_BW in self._blocks(encoded)]
        return np.concatenate(parts)

    def _chances(self, encoded: Floats) -> Doubles:
        parts = [np.empty((0, self.network.classes), np.float32)]
        with torch.no_grad():
            for rows_BW in self._blocks(encoded):
                parts.append(self.discriminator.judge(rows_BW).logits_BC.softmax(dim=1).cpu().numpy())
        return np.concatenate(parts).astype(np.float64)

    def _confidence(self, encoded: Floats, code: int) -> Doubles:
        return self._chances(encoded)[:, code]

    def _blocks(self, encoded: Floats) -> Iterator[torch.Tensor]:
        for first in range(0, len(encoded), ROWS_AT_ONCE):
            yield torch.from_numpy(encoded[first : first + ROWS_AT_ONCE]).to(self._device)

    def files(self) -> dict[str, bytes]:
        """Return the generator as files by name; `from_files` reads them back."""
        weights = {f"generator.{name}": part.cpu().numpy() for name, part in self.network.state_dict().items()}
        weights |= {f"discriminator.{n}": part.cpu().numpy() for n, part in self.discriminator.state_dict().items()}
        clouds = {
            f"{code}.{name}": array for code, cloud in self.clouds.items() for name, array in cloud.arrays().items()
        }
        return {CODEC: pack_arrays(self.codec.arrays()), NETWORKS: pack_arrays(weights), CLOUDS: pack_arrays(clouds)}

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], *, graph: Graph, names: Sequence[str], classes: int, settings: IMSICSettings
    ) -> Self:
        """Read what `files` gave, for the feature names, graph and number of classes it was trained with."""
        found, clouds = codec.from_arrays(unpack_arrays(files[CODEC])), unpack_arrays(files[CLOUDS])
        network, discriminator = untrained(found, graph, names, classes=classes, settings=settings)
        weights = {name: torch.from_numpy(array.copy()) for name, array in unpack_arrays(files[NETWORKS]).items()}
        network.load_state_dict(_below(weights, "generator."))
        discriminator.load_state_dict(_below(weights, "discriminator."))
        by_code = {code: _below(clouds, f"{code}.") for code in sorted({int(name.split(".")[0]) for name in clouds})}
        own = {code: Cloud.from_arrays(arrays) for code, arrays in by_code.items()}
        return cls(found, network.eval(), discriminator.eval(), own, graph, settings)


@dataclass(frozen=True)
class Trained:
    """A training's outcome: the `generator`, and the `looks` on the way."""

    generator: Generator
    looks: list[Look]


def train(
    task: Task, *, graph: Graph, structure_weight: float, settings: IMSICSettings, seed: int, place: Place
) -> Trained:
    """Train generator and discriminator on all classes, and find where the codes of each lie.

    Args:
        task: what to learn from; no other row is read.
        graph: of the factors.
        structure_weight: of the structure loss.
        settings: of the method.
        seed: of whatever is drawn.
        place: title and checkpoints.
    """
    found = codec.fit(task.features, settings=settings, names=task.names)
    encoded = found.encode(task.features)
    classes = len(task.classes)
    network, discriminator = untrained(found, graph, task.names, classes=classes, settings=settings, seed=seed)
    players = Players.of(network, discriminator, settings)
    structure = Structure.of(graph, discriminator.validity.weight.device)
    lesson = Lesson.of(encoded, task.labels, structure, structure_weight, seed=(seed, STEP_STREAM))
    steps = steps_for(len(task.labels), settings.steps, settings.steps_per_row)
    looks = course.follow(players, lesson, settings.model_copy(update={"steps": steps}), place)
    made = Generator(found, players.average.eval(), discriminator.eval(), {}, graph, settings)
    clouds = {
        code: _cloud(made, encoded[task.labels == code], seed=(seed, STORED_STREAM, code))
        for code in np.unique(task.labels).tolist()
    }
    return Trained(Generator(found, made.network, discriminator, clouds, graph, settings), looks)


def untrained(
    found: Codec,
    graph: Graph,
    names: Sequence[str],
    *,
    classes: int,
    settings: IMSICSettings,
    seed: int = 0,
) -> tuple[Network, Discriminator]:
    """Return networks with their first weights, for a table's codec, feature names and number of classes."""
    device = device_of(settings.device)
    columns = graph.columns(names) @ found.sources
    with seeded(seed, NETWORK_STREAM, device=device):
        network = Network(found.layout, classes=classes, codes=len(graph.names), settings=settings)
        discriminator = Discriminator(found.layout, columns, classes=classes, settings=settings)
    for part in (network, discriminator):
        # A quarter less time on CPUs for convolutions of few channels, and what GPUs prefer; nothing to dense networks.
        part.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return network, discriminator


def _cloud(made: Generator, encoded: Floats, *, seed: tuple[int, ...]) -> Cloud:
    """Return where the codes of a class's rows lie, of some rows where there are many.

    Factors are mixtures of codes, so codes are those which would give a row's factors.
    """
    if len(encoded) > made.settings.stored_rows:
        chosen = np.random.default_rng(seed).choice(len(encoded), made.settings.stored_rows, replace=False)
        encoded = encoded[np.sort(chosen)]
    codes = made._factors(encoded) @ np.linalg.pinv(made.graph.effects).T
    return Cloud.fit(np.clip(codes, *made.graph.ranges().T).astype(np.float32), encoded, made.settings)


def _best(parts: Sequence[Samples], rows: int, found: Codec) -> Samples:
    """Return the surest of the rows that passed first, (B', ...) with at most `rows`."""
    if not parts:
        nothing = np.empty(0)
        empty = found.decode(np.empty((0, found.layout.width), np.float32))
        return Samples(empty, np.empty(0, np.int64), nothing, nothing, nothing)
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    whole = Samples(*columns).take(slice(rows))
    return whole.take(np.argsort(-whole.confidence, kind="stable"))


def _below(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
