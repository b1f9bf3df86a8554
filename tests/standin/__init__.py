"""A stand-in for an Apache Doris FE, for tests: see README.md."""
