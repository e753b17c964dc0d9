"""Mail: an outbox in the database, and the mailer that sends from it until a server accepts or a day has passed."""
