"""The command line: ledger serve | replay | import | ... The only room that prints."""
