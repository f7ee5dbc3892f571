"""How fast and how exact the MAP solver is next to Prophet: `python tests/benchmarks/prophet_map.py`.

Speed: Prophet's `fit` (and `predict` with its 1,000 sampled futures, 30 steps ahead) on one series after the other,
ours on a batch of 1,000 of the same kind, both on one core and by turns within each round. Times are CPU seconds of
this process and its children (Prophet's optimizer is a child), as the wall clock of a shared machine is not to be
trusted. Compiled code and the quantile tables are loaded beforehand, as are Prophet's imports. The ratio is the median
over rounds.

Exactness: 600 synthetic series of twelve kinds and, where ../shared is there, 480 real ones of four event logs. Both
log posteriors come from one function in extended precision. A series is regular if the solver says it converged: at
the sigma floor the posterior has no maximum.

How far apart the fitted values are is told beside how far Prophet's are from Prophet's own, run once as it comes and
once with tolerances near 0: it stops early, so two correct answers differ. Last line of stdout: one JSON object.
"""

import dataclasses
import json
import os
import resource
import statistics
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "feature_extraction" / "prophet_map"))

import numpy as np
import pandas as pd
from make_reference import MODELS, Case, prophet_fit, varied

from feature_extraction.prophet_map import certificate, solve
from feature_extraction.prophet_map.intervals import forecast
from feature_extraction.prophet_map.predict import curves
from feature_extraction.prophet_map.problem import CONVERGED, STATUS_NAMES, Histories, ModelSettings

BATCH, ROUNDS, PER_ROUND, HORIZON = 1_000, 7, 8, 30
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "longitudinal"
SYNTHETIC, PER_LOG = 600, 120
COMPARED = 60
# Stan's L-BFGS until its line search finds no better point, which cmdstanpy would call a failure.
TIGHT = {
    "algorithm": "LBFGS",
    "history_size": 40,
    "init_alpha": 1e-3,
    "require_converged": False,
    **dict.fromkeys(("tol_obj", "tol_rel_obj", "tol_grad", "tol_rel_grad", "tol_param"), 1e-300),
}
# Whether days without events are zeros, up to the log's end (counts and spending), or no rows (irregular).
LOGS = {
    "cdnow_whale250": True,
    "bpic12_fraudcheck": True,
    "completejourney_first_redeem": False,
    "oulad_distinction": False,
}


def cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def panel(number: int, steps: int, seed: int) -> np.ndarray:
    """Daily series with a slope, a weekly and a yearly pattern and noise: of those tried, Prophet's fastest."""
    generator, t = np.random.default_rng(seed), np.arange(steps)
    slope, phase = generator.normal(0, 0.005, (number, 1)), generator.uniform(0, 6, (2, number, 1))
    week, year = np.sin(2 * np.pi * t / 7 + phase[0]), np.sin(2 * np.pi * t / 365.25 + phase[1])
    return 10 + slope * t + week + 2 * year + generator.normal(0, 0.5, (number, steps))


def speed(steps: int, settings: ModelSettings, *, intervals: bool) -> float:
    """Return how many times longer Prophet takes for one series."""
    times = np.datetime64("2020-01-01") + np.arange(steps)
    seconds = times.astype("M8[s]").astype(np.int64)
    ours = Histories.of_panel(panel(BATCH, steps, 0), times)
    theirs = panel(PER_ROUND * ROUNDS, steps, 1).reshape(ROUNDS, PER_ROUND, steps)

    def batch() -> None:
        fits = solve.fit(ours, settings)
        if intervals:
            forecast(fits, ours, HORIZON)

    def one(values: np.ndarray) -> None:
        model, _ = prophet_fit(Case("", MODELS.index(settings), seconds, values))
        if intervals:
            model.uncertainty_samples = 1_000
            model.predict(model.make_future_dataframe(HORIZON))

    batch()
    one(theirs[0, 0])
    ratios, spent = [], []
    for part in theirs:
        start = cpu()
        for values in part:
            one(values)
        middle = cpu()
        for _ in range(10):
            batch()
        end = cpu()
        spent.append(((middle - start) / PER_ROUND, (end - middle) / (10 * BATCH)))
        ratios.append(spent[-1][0] / spent[-1][1])
    slow, fast = (statistics.median(column) for column in zip(*spent, strict=True))
    print(f"T={steps} intervals={intervals}: Prophet {slow * 1e3:.1f} ms, ours {fast * 1e6:.1f} us", flush=True)
    return statistics.median(ratios)


def real() -> list[Case]:
    """Daily sums of the first entities and event types of each log that have enough days."""
    cases = []
    for name, zeros in LOGS.items():
        events = pd.read_parquet(SHARED / f"{name}_events.parquet")
        events["ts"] = events["ts"].dt.floor("D")
        daily = events.groupby(["entity_id", "event_type", "ts"], observed=True)["value"].sum(min_count=1).dropna()
        sizes = daily.groupby(level=[0, 1], observed=True).size()
        for key in sizes.index[(sizes >= (10 if zeros else 60)) & (sizes <= 800)][:PER_LOG]:
            one = daily.loc[key]
            if zeros:
                one = one.reindex(pd.date_range(one.index.min(), events["ts"].max()), fill_value=0.0)
            cases.append(Case(name, 0, one.index.to_numpy().astype("M8[s]").astype(np.int64), one.to_numpy()))
    return cases


def exactness(cases: list[Case]) -> dict[str, float]:
    """Return the smallest gain over Prophet's log posterior and the largest violation of optimality."""
    gains, violations, apart = [], [], []
    for number, settings in enumerate(MODELS):
        chosen = [case for case in cases if case.model == number]
        offsets = np.cumsum([0, *(len(case.values) for case in chosen)])
        seconds, values = (np.concatenate([getattr(case, name) for case in chosen]) for name in ("seconds", "values"))
        rows = Histories.of(seconds, values, offsets)
        fits = solve.fit(rows, settings)
        theirs = prophets(chosen, fits)
        regular = fits.status == CONVERGED
        gain = certificate.log_posterior(rows, fits) - certificate.log_posterior(rows, theirs)
        sigmas = np.abs(curves(fits, rows).yhat - curves(theirs, rows).yhat) / np.repeat(
            fits.sigma * fits.y_scale, np.diff(offsets)
        )
        gains.append(gain[regular])
        violations.append(certificate.kkt_violation(rows, fits)[regular])
        apart.append(np.maximum.reduceat(sigmas, offsets[:-1])[regular])
        counts = {name: int((fits.status == code).sum()) for code, name in enumerate(STATUS_NAMES)}
        print(f"settings {number}: {counts}, least gain {gain[regular].min():.2g}", flush=True)
    gain, distance = np.concatenate(gains), np.concatenate(apart)
    print(f"{len(gain)} regular series: gain median {np.median(gain):.3g}, most {gain.max():.3g}")
    print("yhat from Prophet's, sigmas: median {:.3g}, 99 % {:.3g}".format(*np.percentile(distance, (50, 99))))
    return {"log_posterior_gap_min": float(gain.min()), "kkt_max": float(np.concatenate(violations).max())}


def prophets(cases: list[Case], fits: solve.Fits) -> solve.Fits:
    """Return Prophet's parameters in the form of ours."""
    found = {name: np.full_like(getattr(fits, name), np.nan) for name in ("k", "m", "sigma", "delta", "beta")}
    for i, case in enumerate(cases):
        if fits.status[i] != CONVERGED:
            continue
        model, _ = prophet_fit(case, sig_figs=17)
        assert model.y_scale == fits.y_scale[i]
        for name, key in (("k", "k"), ("m", "m"), ("sigma", "sigma_obs")):
            found[name][i] = model.params[key].item()
        number, columns = fits.num_changepoints[i], min(fits.beta.shape[1], model.params["beta"].shape[1])
        found["delta"][i, :number] = model.params["delta"][0, :number]
        found["beta"][i, :columns] = model.params["beta"][0, :columns]
    return dataclasses.replace(fits, **found)


def distances(cases: list[Case]) -> dict[str, float]:
    """Print and return the largest distance of fitted values in each series: ours, Prophet's, and Prophet's again."""
    pairs = {"ours-Prophet": [], "ours-tight": [], "Prophet-tight": []}
    for case in cases:
        rows = Histories.of(case.seconds, case.values, [0, len(case.values)])
        fits = solve.fit(rows, MODELS[case.model])
        if fits.status[0] != CONVERGED:
            continue
        frame = pd.DataFrame({"ds": pd.to_datetime(case.seconds, unit="s")})
        default, tight = (prophet_fit(case, **options)[0].predict(frame)["yhat"] for options in ({}, TIGHT))
        ours, sigma = curves(fits, rows).yhat, fits.sigma[0] * fits.y_scale[0]
        for name, apart in zip(pairs, (ours - default, ours - tight, default - tight), strict=True):
            pairs[name].append(np.abs(apart).max() / sigma)
    print(f"largest distance of yhat in each of {len(pairs['ours-tight'])} series, in sigmas")
    print(f"{'':14}{'median':>10}{'99 %':>10}{'most':>10}")
    found = {}
    for name, apart in pairs.items():
        levels = [float(level) for level in np.percentile(apart, (50, 99, 100))]
        print(f"{name:14}" + "".join(f"{level:10.3g}" for level in levels), flush=True)
        key = "yhat_" + name.lower().replace("-", "_")
        found |= {f"{key}_{level}": value for level, value in zip(("median", "p99", "max"), levels, strict=True)}
    return found


def main() -> None:
    result = {
        "fit_ratio_t180": speed(180, MODELS[0], intervals=False),
        "fit_ratio_t730": speed(730, MODELS[1], intervals=False),
        "interval_ratio_t180": speed(180, MODELS[0], intervals=True),
    }
    cases = real() if SHARED.exists() else []
    print(f"{SYNTHETIC} synthetic and {len(cases)} real series", flush=True)
    result |= exactness(varied(SYNTHETIC, seed=1) + cases)
    result |= distances(varied(COMPARED, seed=2))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
