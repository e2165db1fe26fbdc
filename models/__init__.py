"""Gradient-boosted trees: features in, probability and reasons out; training, evaluation, model cards.

So far the training data: `simulate` (events in real images), `points` (labels looked up in an archive), `doors` (own
tables, reviews), and `dataset`, the table that all of them fill. Alerts carry a null probability until a
model is there.
"""
