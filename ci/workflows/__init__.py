"""The workflows of GitHub, written from one description: what runs when, with which rights."""
