"""The storage table: what files of a network take, in which forms, and what that costs in accuracy."""
