"""What tests of several files share: networks, cases of every operation, files, fakes."""
