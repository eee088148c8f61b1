"""The fake backend: a scripted trainer without data, for tests, drills and measuring scale. See docs/fake-backend.md."""
