"""What a model may ask of the data and of what was measured. No label of a held-out split is within reach here."""
