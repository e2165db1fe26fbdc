"""Photos of observation reports: cleaned of all but the picture, kept on disk or in an object store, sent in parts."""
