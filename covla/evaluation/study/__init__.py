"""The study: every row of the evaluation protocol, trained, judged and written down by one verb."""
