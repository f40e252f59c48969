"""Tuning: the fields of a model that do best over a set of scenarios, and what they are worth on others."""
