"""From a version, a post or a prediction back to what it was made of."""
