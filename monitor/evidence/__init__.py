"""The evidence pack of a case: made, signed, and verified by anybody who has it."""
