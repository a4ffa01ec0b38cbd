"""The study: every variant of the evaluation protocol, trained and evaluated by one command."""
