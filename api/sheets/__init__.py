"""Sheets: an alert on one page of paper, as PDF."""
