"""The main job of the package on real data."""
