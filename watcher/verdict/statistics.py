"""Of repeated starts: k of n with its interval, and the chance that a fault hid in clean ones. Pure."""

from math import exp, lgamma, sqrt

_Z95 = 1.959963984540054
"""Standard deviations that hold 95 % of a normal distribution."""


def chance_hidden(failures: int, clean: int, runs: int) -> float:
    """Return the chance that a fault which is still there hid in `runs` clean starts.

    Args:
        failures: earlier starts on this device that showed the fault.
        clean: earlier starts that did not.

    The failure rate p is Beta(1 + failures, 1 + clean); the answer is E[(1 - p)^runs].
    """
    a, b = 1 + failures, 1 + clean
    return exp(min(0.0, _log_beta(a, b + runs) - _log_beta(a, b)))


def wilson_interval(k: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share that was seen `k` times in `n`; without any it is all that a share can be."""
    if n == 0:
        return 0.0, 1.0
    share, spread = k / n, _Z95**2 / n
    middle = share + spread / 2
    half = _Z95 * sqrt(share * (1 - share) / n + spread / (4 * n))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return (0.0 if k == 0 else max(0.0, low)), (1.0 if k == n else min(1.0, high))


def k_of_n(k: int, n: int) -> str:
    """Return a count for people, as `7 of 10 starts (95 %: 40 to 89 %)`."""
    low, high = wilson_interval(k, n)
    return f"{k} of {n} {_starts(n)} (95 %: {100 * low:.0f} to {100 * high:.0f} %)"


def not_seen(failures: int, clean: int, runs: int) -> str:
    """Return what `runs` clean starts say of a fault that earlier ones showed: never that it is gone."""
    before = f"{failures} of {failures + clean} before"
    hid = percent(chance_hidden(failures, clean, runs))
    return f"not seen in {runs} {_starts(runs)}, seen in {before}; the chance that it hid is {hid}"


def percent(chance: float) -> str:
    """Return a chance for people; one that is not nought is never shown as such."""
    if 0 < chance < 0.001:
        return "below 0.1 %"
    return f"{100 * chance:.1f} %" if chance < 0.00995 else f"{100 * chance:.0f} %"


def _starts(n: int) -> str:
    return "start" if n == 1 else "starts"


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
