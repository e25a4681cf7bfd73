"""The command line (jobs-api.md 15 and 16). Importing it loads neither a server nor a client library."""
