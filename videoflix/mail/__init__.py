"""Mail: what is owed is written down first, and sent until it has arrived or a day has passed."""
