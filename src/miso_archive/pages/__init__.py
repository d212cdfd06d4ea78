"""Pages: notebooks run on an archive, each made one file that opens without a network."""
