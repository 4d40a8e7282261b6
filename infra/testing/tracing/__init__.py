"""Whether each number that the platform shows is right: the CSV's figures, held against what is seen."""
