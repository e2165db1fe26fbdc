"""The store of alerts: what scans found, what rules, models and people said of it, by version."""
