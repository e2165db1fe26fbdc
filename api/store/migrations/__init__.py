"""The steps that bring a store from one version to the next, in order; each file's name says what it does."""
