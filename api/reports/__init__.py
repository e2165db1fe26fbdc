"""The observation report (*fiche*): what a volunteer fills in, and what is kept of it."""
