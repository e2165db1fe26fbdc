"""Criteria and legal points, as data: what may make a clear-cut abusive, and what a person must check.

Two things that are never mixed. A **policy criterion** is the choice of an NGO: it is met, not met, or not known, and
criteria that are met make a confirmed clear-cut potentially abusive. A **legal point** is a text that may concern the
cut: it is to be checked, not applicable, or unknown, and is never a verdict.

::

    fields        what a rule may speak of: names, units, where they come from
    formulas      `area_ha >= threshold`, parsed and evaluated with unknown values
    rules         what a rule is; the table of départements; the version
    loading       rules from TOML files, checked
    evaluation    an alert's fields and the rules of its day: criteria, legal points
    alert_files   alerts.geojson, re-evaluated
    kept          what was said of each alert under each version of the rules
    *.toml        the rules
"""
