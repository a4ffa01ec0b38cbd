"""Posts rated by hand: a blinded sheet out, agreement between people in. No model fills a sheet."""
