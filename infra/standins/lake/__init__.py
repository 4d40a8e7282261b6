"""A small S3 whose objects are plain files: what our programs ask of S3, and nothing else."""
