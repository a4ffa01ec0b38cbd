"""Model versions: folders with their sums, stored in MLflow; which one is champion."""
