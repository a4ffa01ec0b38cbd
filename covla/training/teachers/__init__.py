"""Teachers: what a student is distilled from. A vector per post, never made from its own label."""
