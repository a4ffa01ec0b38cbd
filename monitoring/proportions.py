"""Evidently's tests of categories, replaced where they are not valid for small windows.

Its chi-square takes the reference for exact and divides by zero at a category that is new; its
Fisher test wants both sides of equal length. This one is a test of homogeneity of two samples.
"""

import pandas as pd
from evidently.legacy.calculations.stattests import StatTest, register_stattest
from evidently.legacy.core import ColumnType
from scipy.stats import chi2_contingency, fisher_exact

NAME = "homogeneity"
_LEAST_EXPECTED = 5  # Cochran's rule for the chi-square approximation


def homogeneity(reference: pd.Series, current: pd.Series) -> float:
    """p-value of "both come from the same categories": Fisher's exact test on two categories,
    chi-square on more, with rare categories taken together."""
    both = pd.concat([reference, current]).value_counts()
    if len(both) > 2:  # on two categories the test is exact, so nothing is too rare
        expected = both * len(current) / (len(reference) + len(current))
        common = both[expected >= _LEAST_EXPECTED].index
        reference, current = (s.where(s.isin(common), "\0rare") for s in (reference, current))
    counts = [side.value_counts() for side in (reference, current)]
    table = pd.concat(counts, axis=1).fillna(0).to_numpy()
    if len(table) < 2:
        return 1.0
    test = fisher_exact if len(table) == 2 else chi2_contingency
    return float(test(table)[1])


def _run(
    reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float
) -> tuple[float, bool]:
    p_value = homogeneity(reference, current)
    return p_value, p_value < threshold


register_stattest(
    StatTest(
        name=NAME,
        display_name="Fisher / chi-square p_value",
        allowed_feature_types=[ColumnType.Categorical],
        default_threshold=0.05,
    ),
    _run,
)
