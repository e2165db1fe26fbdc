"""The addresses of the service, by what they are for; each names the right that it takes."""
