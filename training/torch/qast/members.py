"""How each member of the committee learns (B.5), all but the network.

Takes the rows that members see and their class codes; gives fitted members as plain arrays. Each works where classes
have few rows, even one; a class without rows is never voted for.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import sklearn
from imblearn.under_sampling import EditedNearestNeighbours, TomekLinks
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.class_weight import compute_sample_weight

from training import trees
from training.oversampling import oversample_numbers
from training.torch.qast.scorers import Codes, Doubles, Kernel, Linear, Member, Neighbors
from training.torch.qast.settings import MemberName, QASTSettings
from training.trainer import Floats
from training.trees import Trees

BALANCED = "balanced"
LINEAR_ITERATIONS, LOGISTIC_ITERATIONS = 1000, 500
EASY_ENSEMBLES, BOOSTS, TREES, NEAREST = 10, 50, 100, 5
# As skilled as 100 rounds at a rate of 0.1 for a third of their time, of which boosting takes most of a committee's.
BOOSTING_ROUNDS, BOOSTING_RATE = 30, 0.3
EDITED_NEIGHBORS = 3
LEAF_ROWS = 3

Fit = Callable[[Floats, Codes, int, QASTSettings, int], Member]


def fit_member(
    name: MemberName, rows: Floats, labels: Codes, *, classes: int, settings: QASTSettings, seed: int
) -> Member:
    """Fit one member.

    Args:
        name: any but 'network'.
        rows: (n, p) finite rows as members see them.
        labels: (n,) class codes, of at least two classes.
        classes: K.
        settings: `smote_neighbors` is read.
        seed: of whatever the member draws.
    """
    with unchecked():
        return MEMBERS[name](np.ascontiguousarray(rows, np.float32), labels, classes, settings, seed)


@contextmanager
def unchecked() -> Iterator[None]:
    """Let scikit-learn take parameters as given: it asks anew for each tree, a tenth of the work of small ones."""
    with sklearn.config_context(skip_parameter_validation=True):
        yield


def _svc(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Kernel:
    return Kernel.of(SVC(class_weight=BALANCED).fit(rows, labels), classes)


def _linear_svc(rows: Floats | Doubles, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Linear:
    model = LinearSVC(class_weight=BALANCED, max_iter=LINEAR_ITERATIONS, random_state=seed)
    with warnings.catch_warnings():  # the method ends it after 1,000 iterations, converged or not
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Linear.of(model.fit(rows, labels), classes)


def _logistic(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Linear:
    model = LogisticRegression(class_weight=BALANCED, max_iter=LOGISTIC_ITERATIONS)
    with warnings.catch_warnings():  # one vote among several need not be exact
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Linear.of(model.fit(rows, labels), classes)


def _smote_linear_svc(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Linear:
    return _linear_svc(*_smote(rows, labels, settings, seed), classes, settings, seed)


def _smoteenn_linear_svc(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Linear:
    grown, codes = _smote(rows, labels, settings, seed)
    editor = EditedNearestNeighbours(sampling_strategy="all", n_neighbors=EDITED_NEIGHBORS)
    kept = np.zeros(len(codes), bool)
    if len(codes) > EDITED_NEIGHBORS:
        editor.fit_resample(grown, codes)
        kept[editor.sample_indices_] = True
    kept |= ~np.isin(codes, codes[kept])  # the editing may take all rows of a class; then it is left as it was
    return _linear_svc(grown[kept], codes[kept], classes, settings, seed)


def _smotetomek_linear_svc(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Linear:
    grown, codes = _smote(rows, labels, settings, seed)
    links = TomekLinks(sampling_strategy="all")
    links.fit_resample(grown, codes)
    kept = np.zeros(len(codes), bool)
    kept[links.sample_indices_] = True
    kept |= ~np.isin(codes, codes[kept])
    return _linear_svc(grown[kept], codes[kept], classes, settings, seed)


def _smote(rows: Floats, labels: Codes, settings: QASTSettings, seed: int) -> tuple[Doubles, Codes]:
    counts = np.bincount(labels)
    targets = {int(code): int(counts.max()) for code in np.unique(labels) if counts[code] < counts.max()}
    made, codes = oversample_numbers(rows, labels, targets, neighbors=settings.smote_neighbors, seed=seed)
    return np.concatenate([rows.astype(np.float64), made]), np.concatenate([labels, codes])


def _easy_ensemble(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Trees | Linear:
    """Fit ten AdaBoosts of stumps, each to as many rows of every class as the smallest one has.

    Where nothing tells the classes apart, which scikit-learn refuses to learn from, all are equally likely.
    """
    random = np.random.default_rng(seed)
    present, counts = np.unique(labels, return_counts=True)
    models = []
    for number in range(EASY_ENSEMBLES):
        drawn = [random.choice(np.flatnonzero(labels == code), counts.min(), replace=False) for code in present]
        bag = np.concatenate(drawn)
        model = AdaBoostClassifier(n_estimators=BOOSTS, random_state=seed + number)
        if (rows[bag] != rows[bag[0]]).any():
            models.append(model.fit(rows[bag], labels[bag]))
    if models:
        return trees.from_adaboost(models, classes)
    return Linear(np.zeros((rows.shape[1], classes)), np.where(np.isin(np.arange(classes), present), 0.0, -np.inf))


def _forest(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Trees:
    # Pure leaves would make the forest vote for large classes, whatever the weights.
    model = RandomForestClassifier(TREES, class_weight=BALANCED, min_samples_leaf=LEAF_ROWS, random_state=seed)
    return trees.from_forest(model.fit(rows, labels), classes)


def _boosting(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Trees:
    model = GradientBoostingClassifier(
        learning_rate=BOOSTING_RATE, n_estimators=BOOSTING_ROUNDS, max_features="sqrt", random_state=seed
    )
    model.fit(rows, labels, sample_weight=compute_sample_weight(BALANCED, labels))
    return trees.from_boosting(model, classes)


def _neighbors(rows: Floats, labels: Codes, classes: int, settings: QASTSettings, seed: int) -> Neighbors:
    return Neighbors.of(rows, labels, classes, NEAREST)


MEMBERS: dict[MemberName, Fit] = {
    "svc": _svc,
    "linear_svc": _linear_svc,
    "smote_linear_svc": _smote_linear_svc,
    "smoteenn_linear_svc": _smoteenn_linear_svc,
    "smotetomek_linear_svc": _smotetomek_linear_svc,
    "easy_ensemble": _easy_ensemble,
    "forest": _forest,
    "boosting": _boosting,
    "neighbors": _neighbors,
    "logistic": _logistic,
}
