"""Reference layers: what each is and where it comes from, how it is fetched or imported, kept, checked and read."""
