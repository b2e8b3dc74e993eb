"""The application that plays, watches and records episodes."""
