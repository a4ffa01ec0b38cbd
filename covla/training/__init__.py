"""Training: data, losses, teacher, trainer, evaluation."""
