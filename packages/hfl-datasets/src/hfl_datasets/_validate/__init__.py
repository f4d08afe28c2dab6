"""What is looked at before data is published."""
