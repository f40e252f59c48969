"""Efficiency curves: records, fits, predictions, saturation."""
