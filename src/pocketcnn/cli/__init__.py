"""The command line: one file a verb. Only the body of a verb imports what is slow to import."""
