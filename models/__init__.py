"""Gradient-boosted trees: features in, probability and reasons out; training, evaluation, model cards.

Empty as yet: alerts carry a null probability until this floor is built.
"""
