"""The guard of a promotion: the new version against the one it replaced, on the same live posts."""
