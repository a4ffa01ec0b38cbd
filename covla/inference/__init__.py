"""A model version and posts in, one result or one error a post out; and versions made faster."""
