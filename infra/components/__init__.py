"""What programs declare: each declaration says what is wanted, its substrate says how it is made."""
