"""Every feature by a plain loop over one series: slow, obvious, and written from the definitions alone."""

import math
import statistics

NAN = math.nan


def mean(numbers):
    return math.fsum(numbers) / len(numbers) if numbers else NAN


def deviation(numbers):
    return statistics.pstdev(numbers) if numbers else NAN


def ratio(above, below):
    return above / below if below != 0 else NAN


def seen(numbers):
    return [x for x in numbers if not math.isnan(x)]


def levels(y, recent):
    late, early = seen(y[-recent:]), seen(y[:-recent])
    return {
        "level": mean(seen(y)),
        "scale": deviation(seen(y)),
        "peak": max((abs(x) for x in seen(y)), default=NAN),
        "level_recent": mean(late),
        "level_change": ratio(mean(late) - mean(early), deviation(seen(y))),
    }


def activity(y, first, recent):
    active = [i for i, x in enumerate(y) if not math.isnan(x) and x != 0]
    gaps = [b - a for a, b in zip(active, active[1:], strict=False)]
    history = len(y) - first
    recency = len(y) - 1 - active[-1] if active else NAN
    return {
        "history": history,
        "recency": recency,
        "active_steps": len(active),
        "active_share": len(active) / history,
        "active_share_recent": sum(i >= len(y) - recent for i in active) / min(history, recent),
        "gap_mean": mean(gaps),
        "gap_max": max(gaps, default=NAN),
        "recency_in_gaps": ratio(recency, mean(gaps)) if gaps else NAN,
        "burstiness": ratio(deviation(gaps) - mean(gaps), deviation(gaps) + mean(gaps)) if gaps else NAN,
    }


def active_values(y, recent):
    steps = [i for i, x in enumerate(y) if not math.isnan(x) and x != 0]
    there = [y[i] for i in steps]
    late = [y[i] for i in steps if i >= len(y) - recent]
    jumps = [b - a for a, b in zip(there, there[1:], strict=False)]
    first, last = (there[0], there[-1]) if there else (NAN, NAN)
    away = [i - mean(steps) for i in steps]
    rise = math.fsum(a * (x - mean(there)) for a, x in zip(away, there, strict=True))
    return {
        "total": math.fsum(there) if there else NAN,
        "active_mean": mean(there),
        "active_sd": deviation(there),
        "active_lowest": min(there, default=NAN),
        "active_highest": max(there, default=NAN),
        "first_value": first,
        "last_value": last,
        "last_value_in_sd": ratio(last - mean(there), deviation(there)),
        "total_recent_share": ratio(math.fsum(late), math.fsum(there)) if there else NAN,
        "recent_mean": mean(late),
        "recent_lowest": min(late, default=NAN),
        "recent_highest": max(late, default=NAN),
        "slope": ratio(rise, math.fsum(a * a for a in away)),
        "jump_last": jumps[-1] if jumps else NAN,
        "jump_mean": mean([abs(jump) for jump in jumps]),
        "jump_highest": max(jumps, default=NAN),
        "jump_lowest": min(jumps, default=NAN),
    }


def periods(y):
    start = next((i for i, x in enumerate(y) if not math.isnan(x)), len(y))
    y = y[start:]
    n = len(y)
    nothing = {"period_1": NAN, "period_2": NAN, "period_3": NAN}
    if n < 8 or len(seen(y)) < n / 2:
        return nothing
    middle = mean(seen(y))
    centered = [0.0 if math.isnan(x) else x - middle for x in y]
    power = {}
    for k in range(1, n // 2 + 1):
        real = math.fsum(x * math.cos(2 * math.pi * k * t / n) for t, x in enumerate(centered))
        imaginary = math.fsum(x * math.sin(2 * math.pi * k * t / n) for t, x in enumerate(centered))
        both_sides = 1 if 2 * k == n else 2
        power[k] = both_sides * (real**2 + imaginary**2)
    strongest = max(power.values())
    there = [k for k in power if power[k] > 1e-11 * strongest > 0]
    ranked = sorted(there, key=lambda k: (-round(power[k] / strongest, 9), k))[:3]  # of equals the longest first
    return nothing | {f"period_{i}": n / k for i, k in enumerate(ranked, 1)}


def growth(fit):
    if fit is None:
        return dict.fromkeys(("offset", "base_rate", "growth_mean", "growth_std", "delta_mean"), NAN)
    sums = [math.fsum(fit["delta"][: i + 1]) for i in range(len(fit["delta"]))]
    return {
        "offset": fit["m"],
        "base_rate": fit["k"],
        "growth_mean": mean(sums),
        "growth_std": deviation(sums),
        "delta_mean": mean(fit["delta"]),
    }


CHANGEPOINTS = ("changepoint_count", "changepoint_gap_mean", "changepoint_gap_std", "break_size", "break_age")
TRENDS = ("trend_slope", "trend_slope_change", "trend_last", "trend_change", "weekly_amplitude", "weekly_peak_day")


def slope(fit, rate, step):
    """Slope of the trend at a step, metric per step; of a logistic one g it is rate g (1 - g / cap) per history."""
    if math.isnan(fit["cap"]):
        return rate * fit["y_scale"] / fit["span"]
    level = fit["trend"][step]
    return rate * level * (1 - level / fit["cap"]) / fit["span"]


def changepoints(fit, num_steps):
    if fit is None:
        return dict.fromkeys(CHANGEPOINTS, NAN)
    places = [place for place, d in zip(fit["changepoint"], fit["delta"], strict=True) if abs(d) > 0.01]
    gaps = [b - a for a, b in zip(places, places[1:], strict=False)]
    size, place = 0.0, NAN
    for at, d in zip(fit["changepoint"], fit["delta"], strict=True):
        if abs(d) > abs(size):
            size, place = d, at
    return {
        "changepoint_count": len(places),
        "changepoint_gap_mean": mean(gaps),
        "changepoint_gap_std": deviation(gaps),
        "break_size": slope(fit, size, round(place)) if size else 0.0,
        "break_age": num_steps - 1 - place,
    }


def trends(y, fit, recent):
    if fit is None:
        return dict.fromkeys(TRENDS, NAN)
    back = min(recent, len(y) - 1)
    places = list(zip(fit["changepoint"], fit["delta"], strict=True))
    now = slope(fit, fit["k"] + math.fsum(d for _, d in places), -1)
    before = slope(fit, fit["k"] + math.fsum(d for at, d in places if at <= len(y) - 1 - back), -1 - back)
    amplitude = max(fit["weekly"]) - min(fit["weekly"])
    return {
        "trend_slope": now,
        "trend_slope_change": now - before,
        "trend_last": fit["trend"][-1],
        "trend_change": ratio(fit["trend"][-1] - fit["trend"][-1 - back], deviation(seen(y))),
        "weekly_amplitude": amplitude,
        "weekly_peak_day": fit["weekly"].index(max(fit["weekly"])) if amplitude > 0 else NAN,
    }


def residuals(y, fit, recent, bound, last):
    names = ["residual_recent_mean", "outside_share", "below_share", *[f"residual_last_{i + 1}" for i in range(last)]]
    if fit is None or fit["status"] not in ("fitted", "fitted_by_prophet"):
        constant = fit is not None and fit["status"] == "constant"
        return dict.fromkeys(names, NAN) | {"residual_sigma": 0.0 if constant else NAN}
    left = [(x - t - s) / fit["sigma"] for x, t, s in zip(y, fit["trend"], fit["seasonal"], strict=True)]
    late = seen(left[-recent:])
    return {f"residual_last_{i + 1}": left[-1 - i] for i in range(last)} | {
        "residual_sigma": fit["sigma"],
        "residual_recent_mean": mean(late),
        "outside_share": ratio(sum(abs(x) > bound for x in late), len(late)),
        "below_share": ratio(sum(x < -bound for x in late), len(late)),
    }
