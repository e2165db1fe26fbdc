"""Notices: who wants to be told of which alerts, what they are told, and how it reaches them."""
