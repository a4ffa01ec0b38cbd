"""What is kept for a limited time goes: images, texts, caches, models and reports."""
