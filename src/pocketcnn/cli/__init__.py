"""The command line: one file for each verb. Slow modules are imported in the body of a verb only."""
