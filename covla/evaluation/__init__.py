"""Models held against posts: scores, the promotion gate, studies, ratings by people."""
