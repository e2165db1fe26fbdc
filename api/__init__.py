"""What people touch: settings, the store, the HTTP API, the page, exports, statistics and reports.

Empty as yet: the command line writes files, and nothing serves them.
"""
