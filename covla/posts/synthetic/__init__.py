"""Posts that are drawn and written by rule, with known labels, for tests and demonstrations."""

from covla.posts.synthetic.generate import CONFLICT, Drift, generate, iter_posts, with_splits

__all__ = ["CONFLICT", "Drift", "generate", "iter_posts", "with_splits"]
