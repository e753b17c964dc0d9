"""What a film is when it comes in: all looks at a file that nothing is believed of."""
