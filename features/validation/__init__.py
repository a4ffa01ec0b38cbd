"""Validation: what the posts of a time range must hold before a model is trained on them."""

from features.validation.run import Validation, validate

__all__ = ["Validation", "validate"]
